// The dashboard as a person uses it, against its own server with real containers.
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { exchange, fact, open as openAt, result, status } from './page.js';
import { Server } from './server.js';

const KEY = 'dashboard-test-key-0123456789abcdefghij';

let server;
test.beforeAll(async () => {
  server = await Server.start({ API_KEYS: KEY, WARM_SANDBOXES: '1' });
});
test.afterAll(async () => {
  await server?.stop();
});

const open = (page, place) => openAt(page, server, place);

test('signing in', async ({ page }) => {
  await page.goto(server.url);
  const field = page.getByLabel('API key');
  await expect(field).toBeFocused();
  await field.fill('wrong');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('alert')).toContainText('not valid');
  await field.fill(KEY);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  // The key is kept for the tab only, unless the user chooses otherwise.
  expect(await page.evaluate(() => [sessionStorage.length, Object.keys(localStorage).filter((name) => name.includes('key')).length])).toEqual([1, 0]);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Remember it').check();
  await page.getByLabel('API key').fill(KEY);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  expect(await page.evaluate(() => Object.keys(localStorage).filter((name) => name.includes('key')).length)).toBe(1);
  const other = await page.context().newPage();
  await other.goto(server.url);
  await expect(other.getByRole('heading', { name: 'Overview' })).toBeVisible();
});

test('a message, watched live, and its session', async ({ page }) => {
  await open(page);
  await page.getByLabel('Session', { exact: true }).fill('watched');
  await page.getByLabel('Message', { exact: true }).fill('multi:echo first && then sleep 2; echo second');
  await page.getByRole('button', { name: 'Send message' }).click();
  await expect(status(page)).toHaveText('running');
  const calls = page.locator('.fold.tool');
  await expect(calls.first()).toContainText('echo first');
  await calls.first().locator('summary').click();
  await expect(calls.first().locator('pre').last()).toHaveText(/first/);
  await expect(status(page)).toHaveText('completed');
  await expect(result(page)).toContainText('second');
  await expect(fact(page, 'Cost')).toContainText(/\$0\.0\d+/);
  // The address holds the state, so a reload shows the same page.
  await page.reload();
  await expect(result(page)).toContainText('second');
  await expect(page.locator('.fold.tool')).toHaveCount(2);
  expect(await page.title()).toBe('multi:echo first && then sleep 2; echo second · Claude Runner');

  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download NDJSON' }).click()]);
  const lines = (await (await file.createReadStream()).toArray()).join('').trim().split('\n').map((line) => JSON.parse(line));
  expect(lines.map(({ type }) => type)).toEqual(expect.arrayContaining(['task_queued', 'tool_start', 'task_complete']));

  // The work stays where it was when the next task starts.
  await page.getByLabel('Message', { exact: true }).fill('say:an answer with **weight**');
  await page.keyboard.press('Enter');
  await expect(page.locator('.exchange strong')).toHaveText('weight');
  await expect(page.locator('.fold.tool')).toHaveCount(2);
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete session' }).click();
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible({ timeout: 40_000 });
  await expect(page.getByRole('link', { name: 'watched' })).toHaveCount(0);
  expect(page.errors).toEqual([]);
});

test('the lists are live; stop and kill', async ({ page }) => {
  await open(page);
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  const first = await server.task('stopped', 'bash:sleep 100');
  const running = page.getByRole('button', { name: /running/ });
  await expect(running).toContainText('1');
  await expect(page.getByRole('row', { name: /sleep 100/ })).toContainText('running');
  // The page sent no request to learn of it.
  expect(requests.filter((url) => /\/(tasks|sessions)/.test(url))).toEqual([]);
  await page.getByRole('link', { name: 'bash:sleep 100' }).click();
  await expect(page.locator('.fold.tool')).toHaveCount(1);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await expect(status(page)).toHaveText('aborted');
  expect((await server.ended(first)).errorType).toBe('aborted');

  const second = await server.task('stopped', 'bash:sleep 101');
  await page.goto(`${server.url}/#/tasks/${second}`);
  await expect(status(page, second)).toHaveText('running');
  await expect(exchange(page, second).locator('.fold.tool')).toHaveCount(1);
  // Escape is the button; the second press kills.
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await expect(status(page, second)).toHaveText('aborted');
  await expect(result(page, second)).toContainText('Stopped');
  // The interrupted call is no longer shown as running.
  await expect(exchange(page, second).locator('.fold.tool')).toContainText('stopped');
  await expect(page.getByRole('button', { name: /Stop|Kill/ })).toHaveCount(0);
  await expect(page.locator('.spin')).toHaveCount(0);
});

test('an error is shown at its field', async ({ page }) => {
  await open(page);
  await page.getByLabel('Session', { exact: true }).fill('a/b');
  await page.getByLabel('Message', { exact: true }).fill('say:x');
  await page.getByRole('button', { name: 'Send message' }).click();
  await expect(page.getByLabel('Session', { exact: true })).toBeFocused();
  await expect(page.getByLabel('Session', { exact: true })).toHaveAttribute('aria-invalid', 'true');
  await expect(page.getByRole('alert')).toContainText("cannot contain '/'");
  await page.getByLabel('Session', { exact: true }).fill('fields');
  await page.getByText('Options', { exact: true }).click();
  await page.getByLabel('Max turns').fill('0');
  await page.getByRole('button', { name: 'Send message' }).click();
  await expect(page.getByLabel('Max turns')).toBeFocused();
  await expect(page.getByRole('alert')).toContainText('1 to 1000');
});

test('it comes back after a kill -9 of the server, with all events', async ({ page }) => {
  const task = await server.task('survivor', 'slow:120');
  await open(page, `#/tasks/${task}`);
  await expect(page.locator('.block.text')).toContainText('w3');
  await server.kill();
  await expect(page.getByText('Connection lost')).toBeVisible();
  await server.up();
  await expect(page.getByText('Reconnected', { exact: false }).first()).toBeVisible();
  await expect(status(page)).toHaveText('completed', { timeout: 30_000 });
  // The page shows the stored text without a missing or repeated word.
  const shown = (await page.locator('.block.text, .answer').allTextContents()).join('');
  const words = Array.from({ length: 120 }, (_, number) => `w${number}`).join(' ');
  expect(shown.replace(/\s+/g, ' ').trim()).toContain(words);
  await expect(page.getByText('Connection lost')).toHaveCount(0);
});

test('what an agent says runs nowhere', async ({ page }) => {
  const mark = 'window.__ran = (window.__ran ?? 0) + 1; document.title = "ran"';
  const hostile = [
    `<script>${mark}</script>`, `<img src=x onerror='${mark}'>`, `<svg onload='${mark}'></svg>`, `<iframe srcdoc="<script>parent.__ran=1</script>"></iframe>`,
    `[click](javascript:window.__ran=1)`, `[data](data:text/html,<script>window.__ran=1</script>)`, `![x](https://evil.test/pixel.png)`, `<style>*{display:none}</style>`,
    '<details open ontoggle=window.__ran=1>', '<a href="javascript:window.__ran=1">link</a>', '&lt;script&gt;window.__ran=1&lt;/script&gt;', '<math><mtext><img src=x onerror=window.__ran=1>',
    '| a |\n|---|\n| <img src=x onerror=window.__ran=1> |', '```html\n<script>window.__ran=1</script>\n```', '<base href="https://evil.test/">', '<meta http-equiv=refresh content="0;url=https://evil.test">',
  ].join('\n\n');
  const outside = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url)) outside.push(request.url());
  });
  const session = '<img src=x onerror=window.__ran=1>';
  const said = await server.task(session, `say:${hostile}`);
  await server.ended(said);
  const thought = await server.task(session, `think:${hostile}`);
  await server.ended(thought);
  const wrote = await server.task(session, `bash:printf '%s' '<script>window.__ran=1</script>'`);
  await server.ended(wrote);
  for (const task of [said, thought, wrote]) {
    await open(page, `#/tasks/${task}`);
    await page.reload();
    await expect(result(page, task)).toBeVisible();
    // Only the task that thought and the one that used a tool have steps.
    if (task !== said) await exchange(page, task).getByRole('button', { name: 'Unfold all' }).click();
    await expect(exchange(page, task)).toContainText('<script>');
    for (const link of await page.locator('.markdown a').all()) {
      expect(await link.getAttribute('href')).toMatch(/^(https?|mailto):/);
      expect(await link.getAttribute('rel')).toContain('noopener');
    }
    expect(await page.locator('main img, main iframe, main style, main script, main base, main meta').count()).toBe(0);
  }
  await page.goto(`${server.url}/#/`);
  await expect(page.getByRole('row', { name: /say:/ })).toBeVisible();
  expect(await page.evaluate(() => window.__ran)).toBe(undefined);
  expect(await page.title()).not.toBe('ran');
  expect(outside).toEqual([]);
  expect(page.errors).toEqual([]);

  // The Content-Security-Policy blocks markup and inline script even if the page inserts them. (The debugger may eval, so
  // this test cannot try eval.)
  const refused = await page.evaluate(() => {
    const outcomes = [];
    try { document.body.innerHTML = '<b>x</b>'; outcomes.push('innerHTML'); } catch { /* trusted types */ }
    const script = document.createElement('script');
    try { script.textContent = 'window.__ran = 1'; document.head.append(script); } catch { /* refused */ }
    if (window.__ran) outcomes.push('inline script');
    return outcomes;
  });
  expect(refused).toEqual([]);
});

test('the keyboard alone', async ({ page }) => {
  await open(page);
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(page.getByText('Skip to content')).toBeFocused();
  await page.keyboard.press('Enter');
  await page.keyboard.press('n');
  await expect(page.getByLabel('Message', { exact: true })).toBeFocused();
  await page.keyboard.type('say:typed');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.type('keyboard');
  await page.keyboard.press('Control+Enter');
  await expect(status(page)).toHaveText('completed');
  await page.locator('main').focus();
  await page.keyboard.press('g');
  await page.keyboard.press('o');
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  await page.keyboard.press('/');
  await page.keyboard.type('typed');
  await expect(page.locator('tbody tr')).toHaveCount(1);
  await page.locator('main').focus();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await expect(result(page)).toContainText('typed');
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await page.getByRole('link', { name: 'API', exact: true }).press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Claude Runner API');
});

test('light, dark and narrow, without a serious finding of axe', async ({ page, browser }) => {
  await server.ended(await server.task('looks', 'think:of **much**\n\n| a | b |\n|---|---|\n| 1 | 2 |'));
  const task = await server.task('looks', `tool:Bash {"command":"echo ${'wide'.repeat(80)}; exit 1","description":"fails"}`);
  await server.ended(task);
  const places = ['', '#/?view=sessions', `#/tasks/${task}`, '#/sessions/looks', '#/sessions/looks?view=files', '#/usage', '#/health', '#/webhooks', '#/nowhere', '#/tasks/none'];
  for (const [colorScheme, width] of [['light', 1280], ['dark', 320]]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
    const page = await context.newPage();
    await open(page);
    for (const place of places) {
      await page.goto(`${server.url}/${place}`);
      await expect(page.locator('h1')).toBeVisible();
      await expect(page.getByText('Loading…')).toHaveCount(0);
      if (place.startsWith('#/tasks/') && !place.endsWith('none')) await exchange(page, task).getByRole('button', { name: 'Unfold all' }).click();
      const where = `${place} ${colorScheme} ${width}`;
      // Screenshots for a person to look at.
      const name = place.replace(task, 'task').replaceAll(/[^a-z]+/g, '-') || '-';
      await page.screenshot({ path: `../../target/browser-dashboard/${colorScheme}-${width}${name}.png` });
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), where).toBeLessThanOrEqual(0);
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
      expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), where).toEqual([]);
    }
    const ground = await page.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.documentElement).backgroundColor)[0]));
    expect(ground > 128, colorScheme).toBe(colorScheme === 'light');
    await context.close();
  }
  // The same for the sign-in page.
  await page.goto(server.url);
  await expect(page.getByLabel('API key')).toBeVisible();
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))).toEqual([]);
});

test('it is light, paints soon, and scrolls through 10,000 events', async ({ page }) => {
  let bytes = 0;
  const client = await page.context().newCDPSession(page);
  await client.send('Network.enable');
  client.on('Network.loadingFinished', ({ encodedDataLength }) => { bytes += encodedDataLength; });
  await page.goto(server.url);
  await expect(page.getByLabel('API key')).toBeVisible();
  const weight = bytes;
  expect(weight).toBeLessThan(100 * 1024);
  const paints = [];
  for (let load = 0; load < 5; load += 1) {
    await page.reload();
    await expect(page.getByLabel('API key')).toBeVisible();
    const paint = await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    paints.push(await paint.jsonValue());
  }
  // The best of five runs, so that other load on the machine does not count.
  expect(Math.min(...paints)).toBeLessThan(500);

  const task = await server.task('long', 'say:short');
  await server.ended(task);
  const events = [];
  for (let call = 0; events.length < 10_000; call += 1) {
    const common = { ts: new Date(1e12 + call * 100).toISOString(), taskId: task };
    events.push({ type: 'text', seq: events.length + 1, ...common, text: `Step **${call}** of the work.` });
    events.push({ type: 'tool_start', seq: events.length + 1, ...common, tool: 'Bash', input: { command: `step ${call}` }, toolUseId: `t${call}` });
    events.push({ type: 'tool_end', seq: events.length + 1, ...common, toolUseId: `t${call}`, result: 'x\n'.repeat(50), isError: false });
  }
  await page.route(`**/task/${task}/logs?format=ndjson`, (route) => route.fulfill({ contentType: 'application/x-ndjson', body: events.map((event) => JSON.stringify(event)).join('\n') + '\n' }));
  await open(page, `#/tasks/${task}`);
  await page.reload();
  await expect(page.getByText(/^10,00[0-2] events$/)).toBeVisible();
  const seen = await page.evaluate(async () => {
    let [longest, most, last] = [0, 0, performance.now()];
    const scroller = document.scrollingElement;
    for (let step = 0; step < 200; step += 1) {
      scroller.scrollTop = (scroller.scrollHeight * step) / 199;
      await new Promise((done) => requestAnimationFrame(done));
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      most = Math.max(most, document.querySelectorAll('*').length);
    }
    return { longest, most };
  });
  console.log(`first paint ${Math.min(...paints).toFixed(0)} ms, ${weight} bytes, longest frame while scrolling ${seen.longest.toFixed(0)} ms, ${seen.most} elements at most`);
  // The document does not contain blocks far from the viewport, which keeps frames short.
  expect(seen.most).toBeLessThan(6000);
  await expect(page.getByText('step 3333', { exact: true })).toBeVisible();
});
