// Takes pictures of every page and state of the dashboard, for a person to look at. scripts/screenshots runs it.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import { Server } from './server.js';

const KEY = 'screenshots-key-0123456789abcdefghijklm';
const WIDTHS = [360, 768, 1440];
const SCHEMES = ['light', 'dark'];
const PLANNER = { model: 'claude-sonnet-4-6' };
const TOUR = 'Tokens are refreshed too late. Fix that, and add a test.';

const [directory] = process.argv.slice(2);
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
let taken = 0;

/** Takes a picture at every width and in both colour schemes. `prepare` brings the page into the state. */
async function shoot(server, name, place, prepare = async () => {}, key = server.env.API_KEYS) {
  for (const colorScheme of SCHEMES) {
    for (const width of WIDTHS) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height: width < 500 ? 780 : 900 } });
      const page = await context.newPage();
      if (key) await page.addInitScript((key) => sessionStorage.setItem('claude-runner.key', key), key);
      await page.goto(`${server.url}/${place}`);
      await page.locator('h1').waitFor();
      await page.getByText('Loading', { exact: false }).first().waitFor({ state: 'detached' });
      await prepare(page);
      // The highlighter is loaded when the first code is shown.
      if (await page.locator('.sheet').count()) await page.locator('[class^="hljs-"]').first().waitFor({ state: 'attached', timeout: 2000 }).catch(() => {});
      await page.screenshot({ path: join(directory, `${name}-${width}-${colorScheme}.png`) });
      taken += 1;
      await context.close();
    }
  }
  console.log(name);
}

/** The picture of README: the end of a session with an edit unfolded. */
async function picture(server, place) {
  const page = await browser.newPage({ viewport: { width: 1240, height: 770 }, deviceScaleFactor: 1.5 });
  await page.addInitScript((key) => sessionStorage.setItem('claude-runner.key', key), server.env.API_KEYS);
  await page.goto(`${server.url}/${place}`);
  const step = (title) => page.locator('.fold.tool', { has: page.locator('summary b', { hasText: title }) }).last();
  await step(/^Edit$/).locator('summary').click();
  await page.locator('.diff [class^="hljs-"]').first().waitFor();
  await step(/^Search/).evaluate((element) => scrollTo(0, element.getBoundingClientRect().top + scrollY - 40));
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(directory, 'dashboard.png') });
  await page.close();
  taken += 1;
}

const unfold = (page) => page.getByRole('button', { name: 'Unfold all' }).last().click();
const start = (page) => page.evaluate(() => scrollTo(0, 0));

async function withServer(env, work) {
  const server = await Server.start(env, { scripts: 'tests/browser/scripts' });
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

await withServer({ API_KEYS: KEY, WARM_SANDBOXES: '1' }, async (server) => {
  await shoot(server, 'sign-in', '', undefined, null);
  await shoot(server, 'sign-in-error', '', async (page) => {
    await page.getByLabel('API key').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
  }, null);
  await shoot(server, 'overview-empty', '');
  await shoot(server, 'usage-empty', '#/usage');
  await shoot(server, 'webhooks-empty', '#/webhooks');
  await shoot(server, 'session-new', '#/sessions/nobody');
  await server.ended(await server.task('token-refresh', 'say:It is the API of **Acme**: users, subscriptions and usage over HTTP.'));
  const tour = await server.task('token-refresh', TOUR, PLANNER);
  await server.ended(tour);
  const failed = await server.task('too-long', 'status:400');
  await server.ended(failed);
  const stopped = await server.task('stopped', 'bash:sleep 100');
  while ((await server.call(`/task/${stopped}`)).status === 'queued') await new Promise((done) => setTimeout(done, 50));
  await server.call(`/task/${stopped}/abort?mode=interrupt`, { method: 'POST' });
  await server.ended(stopped);
  // Claude Code ends a command after two minutes, so the pictures of a running task come first.
  const running = await server.task('running', 'bash:sleep 110');
  await server.task('running', 'say:Then write the entry of the changelog.');
  await server.task('running', 'say:And open a pull request that people understand who did not follow along.');
  await shoot(server, 'session-running', `#/tasks/${running}`, (page) => page.locator('.fold.tool').last().waitFor());
  await shoot(server, 'overview-tasks', '');
  await shoot(server, 'overview-sessions', '#/?view=sessions');
  await shoot(server, 'session-end', '#/sessions/token-refresh');
  await shoot(server, 'session-start', `#/sessions/token-refresh`, start);
  await shoot(server, 'session-unfolded', `#/sessions/token-refresh?task=${tour}&step=1`, unfold);
  await picture(server, '#/sessions/token-refresh');
  await shoot(server, 'task-details', `#/tasks/${tour}`, (page) => page.locator('.timeline').last().scrollIntoViewIfNeeded());
  await shoot(server, 'task-stopped', `#/tasks/${stopped}`);
  await shoot(server, 'task-failed', `#/tasks/${failed}`);
  await shoot(server, 'files', '#/sessions/token-refresh?view=files');
  await shoot(server, 'file', '#/sessions/token-refresh?view=files&path=src&file=token.ts');
  await shoot(server, 'usage', '#/usage');
  await shoot(server, 'health', '#/health');
  await shoot(server, 'not-found', '#/nowhere');
  await shoot(server, 'no-such-task', '#/tasks/none');
});
const NO_CREDENTIAL = { ANTHROPIC_API_KEY: undefined, HOME: '/nonexistent', WARM_SANDBOXES: '0' };
await withServer({ ...NO_CREDENTIAL, SCRIPTED: 'true' }, (server) => shoot(server, 'overview-scripted', ''));
await withServer(NO_CREDENTIAL, async (server) => {
  await shoot(server, 'overview-no-credential', '');
  // A page of its own for each picture cannot lose its connection, so this one takes its picture itself.
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(`${server.url}/#/health`);
  await page.getByRole('heading', { name: /eady for tasks/ }).waitFor();
  await server.kill();
  await page.getByText('Connection lost').waitFor();
  await page.screenshot({ path: join(directory, 'health-away-1440-light.png') });
  taken += 1;
  await server.up();
});
await browser.close();
console.log(`${taken} pictures in ${directory}`);
