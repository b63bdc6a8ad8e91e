// The page of the API's documents: it shows all of them, is accessible, and loads nothing from another host.
import { execFileSync } from 'node:child_process';
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { Server } from './server.js';

const KEY = '0123456789abcdef0123456789abcdef';
let server;

test.beforeAll(async () => {
  server = await Server.start({ API_KEYS: KEY });
});
test.afterAll(() => server?.stop());

async function open(page, path = '/docs') {
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && !message.text().includes('401') && wrong.push(message.text()));
  page.on('request', (request) => new URL(request.url()).origin === server.url || wrong.push(request.url()));
  await page.goto(server.url + path);
  return wrong;
}

async function signIn(page) {
  await page.getByLabel('API key').fill(KEY);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Claude Runner API');
}

async function withoutFinding(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`)).toEqual([]);
}

test('shows every call, event and schema to who has a key', async ({ page }) => {
  const wrong = await open(page);
  await expect(page.getByLabel('API key')).toBeFocused();
  await page.getByLabel('API key').fill('wrong');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('alert')).toHaveText('That key is not valid.');
  await withoutFinding(page);
  await signIn(page);

  const [api, stream] = await Promise.all(['/openapi.json', '/asyncapi.json'].map((path) => server.call(path)));
  const cards = await page.locator('article').evaluateAll((all) => all.map(({ id }) => id));
  const calls = Object.values(api.paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId));
  const { watch, ...followed } = stream.channels;
  const namesOf = (channel) => Object.keys(channel.messages).map((key) => stream.components.messages[key].name);
  const events = [...Object.values(followed).flatMap(namesOf).map((name) => `event-${name}`), ...namesOf(watch).map((name) => `change-${name}`)];
  const schemas = Object.keys(api.components.schemas).map((name) => `schema-${name}`);
  for (const wanted of [...calls, ...events, ...schemas]) expect(cards).toContain(wanted);
  // Every link within the page has a target.
  const dead = await page.locator('a[href^="#"]').evaluateAll((all) => all.map((a) => a.hash.slice(1)).filter((id) => !document.getElementById(id)));
  expect(dead).toEqual([]);

  // A curl line works, and does not contain the key.
  const line = await page.locator('#submitTask .block pre').first().textContent();
  expect(line).not.toContain(KEY);
  const env = { ...process.env, CLAUDE_RUNNER_KEY: KEY };
  const answer = JSON.parse(execFileSync('bash', ['-c', line.replace('"sessionId"', '"async":true,"sessionId"')], { env, stdio: ['ignore', 'pipe', 'ignore'] }));
  expect(answer.status).toBe('queued');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.locator('#submitTask').getByRole('button', { name: 'Copy' }).first().click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(line);
  expect(wrong).toEqual([]);
});

for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['dark', 320]]) {
  test(`reads well, ${scheme}, ${width} px`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 900 });
    const wrong = await open(page);
    await page.screenshot({ path: `../../target/browser-docs/key-${scheme}-${width}.png` });
    await signIn(page);
    await withoutFinding(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await page.screenshot({ path: `../../target/browser-docs/top-${scheme}-${width}.png` });

    // Use the keyboard only.
    await page.keyboard.press('/');
    await page.keyboard.type('abort');
    await expect(page.locator('article:visible').first()).toHaveAttribute('id', 'abortTask');
    expect(await page.locator('article:visible').count()).toBeLessThan(6);
    await page.screenshot({ path: `../../target/browser-docs/filter-${scheme}-${width}.png` });
    await page.keyboard.press('Escape');
    await page.goto(`${server.url}/docs#event-tool_start`);
    await expect(page.locator('#event-tool_start')).toBeInViewport();
    await page.screenshot({ path: `../../target/browser-docs/event-${scheme}-${width}.png` });
    await page.goto(`${server.url}/docs#listTasks`);
    await expect(page.locator('#listTasks')).toBeInViewport();
    await page.screenshot({ path: `../../target/browser-docs/call-${scheme}-${width}.png` });
    expect(wrong).toEqual([]);
  });
}
