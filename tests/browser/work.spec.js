// How the dashboard shows the work of an agent, with the real agent, and with events that no agent here produces.
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { exchange, fact, open as openAt, result, status } from './page.js';
import { Server } from './server.js';

const KEY = 'work-test-key-0123456789abcdefghijklmn';
/** A model for which Claude Code offers its tools for plans. */
const PLANNER = { model: 'claude-sonnet-4-6' };
const TOUR = 'Tokens are refreshed too late. Fix that, and add a test.';

let server;
test.beforeAll(async () => {
  server = await Server.start({ API_KEYS: KEY, WARM_SANDBOXES: '1' }, { scripts: 'tests/browser/scripts' });
});
test.afterAll(async () => {
  await server?.stop();
});

const open = (page, place) => openAt(page, server, place);
const step = (page, name) => page.locator('.step', { has: page.locator(`.fold.tool > summary b`, { hasText: name }) }).last();

/** Replaces the events of a task. */
async function withEvents(page, task, events) {
  const body = events.map((event, index) => JSON.stringify({ seq: index + 1, ts: new Date(1e12 + index * 100).toISOString(), taskId: task, ...event })).join('\n');
  await page.route(`**/task/${task}/logs?format=ndjson`, (route) => route.fulfill({ contentType: 'application/x-ndjson', body: `${body}\n` }));
}

/** Replaces members of all tasks in lists. */
async function withTasks(page, members) {
  await page.route('**/tasks?*', async (route) => {
    try {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: (await answer.json()).map((task) => ({ ...task, ...members })) });
    } catch {
      // The page no longer waits for it.
    }
  });
}

/** The tool calls as events, each with its result. */
const calls = (...all) => all.flatMap(([tool, input, answer, isError = false], index) => [
  { type: 'tool_start', tool, input, toolUseId: `t${index}` },
  { type: 'tool_end', toolUseId: `t${index}`, result: answer, isError },
]);

test('a plan that ticks, terminals, diffs, code, a subagent, and a text that stands once', async ({ page }) => {
  await open(page, '#/sessions/tour');
  await page.getByLabel('Message', { exact: true }).fill('say:before');
  await page.keyboard.press('Enter');
  await expect(status(page)).toHaveText('completed');
  const task = await server.task('tour', TOUR, PLANNER);
  const plan = page.getByRole('region', { name: 'Plan' });
  await expect(plan).toContainText('of 3');
  // While it runs, the steps are there; where the first one is does not change when it ends.
  await expect(step(page, 'Run the tests of the token')).toBeVisible();
  const placeOf = () => exchange(page, task).locator('.step').first().evaluate((element) => Math.round(element.getBoundingClientRect().top + scrollY));
  const before = await placeOf();
  await expect(status(page, task)).toHaveText('completed');
  expect(await placeOf()).toBe(before);
  await expect(plan).toContainText('3 of 3');
  await expect(plan.locator('.done')).toHaveCount(3);
  // It is what it was after a reload.
  await page.reload();
  await expect(result(page, task)).toContainText('a minute before');
  await expect(plan).toContainText('3 of 3');
  await expect(page.getByText('The token is now refreshed')).toHaveCount(1);
  await expect(result(page, task).locator('.hljs-keyword').first()).toHaveText('if');

  const tests = step(page, 'Run the tests of the token');
  await expect(tests).toContainText('exit 1');
  await tests.locator('summary').click();
  const terminal = tests.locator('.terminal');
  await expect(terminal.locator('.ansi-2')).toHaveText('✓');
  await expect(terminal).not.toContainText('\u001b');
  await expect(terminal).not.toContainText('Exit code');
  const rows = await terminal.locator('.line').count();
  expect(rows).toBe(21);
  await terminal.getByRole('button', { name: /^Show \d+ more lines$/ }).click();
  expect(await terminal.locator('.line').count()).toBeGreaterThan(30);

  const edit = step(page, 'Edit');
  await expect(edit).toContainText('+3 −1');
  await edit.locator('summary').click();
  await expect(edit.locator('.diff-new')).toHaveCount(3);
  await expect(edit.locator('.diff-old')).toHaveText(/token\.expires\) \{/);
  const read = step(page, 'Read');
  await read.locator('summary').click();
  await expect(read.locator('.line').nth(4)).toContainText('const token');
  expect(await read.locator('.line-mark').nth(4).getAttribute('data-mark')).toBe('5');
  await expect(read.locator('.hljs-keyword').first()).toBeVisible();
  await expect(page.getByRole('group', { name: 'subagent' })).toContainText("echo 'The margin is right.'");

  // Each block copies what it shows, and each step has an address.
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await read.getByRole('button', { name: 'Copy' }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^import type.*\n\n\/\*\* Refreshes[\s\S]*\n\tconst token/);
  const address = await edit.locator('.anchor').first().getAttribute('href');
  await page.goto(`${server.url}/${address}`);
  await page.reload();
  await expect(page.locator('.step.named .diff')).toBeInViewport();
  expect(page.errors).toEqual([]);
});

test('what is queued is shown and can be removed; the view follows its end until the reader scrolls away', async ({ page }) => {
  await page.setViewportSize({ width: 900, height: 500 });
  await open(page, '#/sessions/queue');
  await page.getByLabel('Message', { exact: true }).fill('slow:200');
  await page.keyboard.press('Enter');
  await expect(exchange(page)).toContainText('w20');
  const end = () => page.evaluate(() => document.documentElement.scrollHeight - scrollY - innerHeight);
  await page.getByLabel('Message', { exact: true }).fill('say:first in the queue');
  await page.getByRole('button', { name: 'Queue', exact: true }).click();
  await page.getByLabel('Message', { exact: true }).fill('say:second in the queue');
  await page.keyboard.press('Enter');
  const queue = page.getByRole('region', { name: 'Queued' });
  await expect(queue.getByRole('listitem')).toHaveCount(2);
  await queue.getByRole('button', { name: 'Remove say:first' }).click();
  await expect(queue.getByRole('listitem')).toHaveCount(1);
  await expect(page.locator('.exchange').first()).toContainText('w100');
  expect(await end()).toBeLessThan(40);
  await page.mouse.move(300, 200);
  await page.mouse.wheel(0, -2000);
  await expect(page.getByRole('button', { name: 'To the end' })).toBeVisible();
  await expect(page.getByRole('region', { name: 'Result' }).filter({ hasText: 'second in the queue' })).toHaveCount(1, { timeout: 60_000 });
  expect(await end()).toBeGreaterThan(100);
  await expect(page.getByText('say:first in the queue')).toHaveCount(0);
  await page.getByRole('button', { name: 'To the end' }).click();
  expect(await end()).toBeLessThan(40);
});

test('failures, costs and tokens in words', async ({ page }) => {
  const task = await server.task('words', 'status:400');
  await server.ended(task);
  await open(page, `#/tasks/${task}`);
  await expect(result(page)).toContainText('The model API rejected the request');
  await expect(page.getByText('exit code')).toHaveCount(0);
  await withTasks(page, { cost: 0.01125, usage: { input_tokens: 11_200, cache_read_input_tokens: 106_000, cache_creation_input_tokens: 0, output_tokens: 310, requests: 3 } });
  await page.reload();
  await expect(fact(page, 'Tokens')).toContainText('11,200 fresh, 106,000 cached, 310 out');
  // The command line prints the same.
  await expect(fact(page, 'Cost')).toContainText('$0.0112');
});

test('only what is cut is marked as cut', async ({ page }) => {
  const short = await server.task('cut', 'tool:Bash {"command":"seq 1 100000","description":"Count"}', { context: 'y'.repeat(5000) });
  await server.ended(short);
  const long = await server.task('cut', `say:${'x'.repeat(5000)}`);
  await server.ended(long);
  await open(page, '#/sessions/cut');
  const [first, second] = [short, long].map((task) => exchange(page, task).locator('.user-message'));
  await expect(first.locator('> pre')).toHaveText('tool:Bash {"command":"seq 1 100000","description":"Count"}');
  await expect(second.locator('> pre')).toHaveText(/^say:x{1996}…$/);
  await first.getByRole('button', { name: 'Show the whole message' }).click();
  await first.getByText('Context', { exact: true }).click();
  await expect(first.locator('details pre')).toHaveText('y'.repeat(5000));
  await second.getByRole('button', { name: 'Show the whole message' }).click();
  await expect(second.locator('> pre')).toHaveText(`say:${'x'.repeat(5000)}`);
});

test('older tasks are loaded on request, and the first message is the title', async ({ page }) => {
  for (const message of ['say:one', 'say:two', 'say:three']) await server.ended(await server.task('older', message));
  await page.route('**/tasks?limit=*', (route) => route.continue({ url: route.request().url().replace(/limit=\d+/, 'limit=2') }));
  await open(page, '#/sessions/older');
  await expect(page.locator('.exchange')).toHaveCount(2);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('older');
  await page.getByRole('button', { name: 'Load older tasks' }).click();
  await expect(page.locator('.exchange')).toHaveCount(3);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('say:one');
  await page.goto(`${server.url}/#/?view=sessions`);
  await expect(page.getByRole('row', { name: /older/ })).toContainText('Last: say:three');
});

test('an empty server shows what to try', async ({ page }) => {
  await page.route('**/tasks?*', (route) => route.fulfill({ json: [] }));
  await page.route('**/sessions', (route) => route.fulfill({ json: [] }));
  await open(page);
  const steps = page.getByRole('region', { name: 'First steps' });
  await expect(steps.getByRole('button', { name: /^Ask it|^Watch it/ })).not.toHaveCount(0);
  const message = await steps.locator('code').first().textContent();
  await steps.getByRole('button').first().click();
  await expect(page.getByLabel('Message', { exact: true })).toHaveValue(message);
  await page.getByLabel('Message', { exact: true }).fill('say:unnamed');
  await page.unroute('**/tasks?*');
  await page.getByRole('button', { name: 'Send message' }).click();
  // The page has named the session.
  await expect(page).toHaveURL(/sessions\/chat-\w+\?task=/);
  await expect(result(page)).toContainText('unnamed');
});

test('the sums of the timeline are those of the task', async ({ page }) => {
  const task = await server.task('times', 'say:x');
  await server.ended(task);
  const at = (ms) => new Date(1e12 + ms).toISOString();
  await withEvents(page, task, [
    { type: 'task_start', ts: at(1000) }, { type: 'init', ts: at(2000), model: 'm', tools: [], sessionId: 'times', claudeSessionId: 'x' },
    { type: 'retry', ts: at(2500), attempt: 1, maxRetries: 10, delayMs: 1, reason: 'overloaded_error', status: 529 },
    ...['a', 'b', 'c'].map((id) => ({ type: 'tool_start', ts: at(4000), tool: 'Bash', input: { command: id }, toolUseId: id })),
    ...['a', 'b', 'c'].map((id, index) => ({ type: 'tool_end', ts: at(6000 + index * 1000), toolUseId: id, result: '', isError: false })),
    { type: 'text', ts: at(9000), text: 'x' },
  ]);
  await withTasks(page, { created: at(0), started: at(1000), finished: at(10_000), duration: 9000 });
  await open(page, `#/sessions/times?task=${task}`);
  await expect(page.locator('.timeline figcaption')).toHaveText('waiting 1.0 sstarting 1.0 smodel 4.0 stools 4.0 s10.0 s in all');
  // Three calls at the same time have a row each.
  await expect(page.locator('.timeline rect.tool')).toHaveCount(4);
});

test('no event is without words', async ({ page }) => {
  const task = await server.task('events', 'say:x');
  await server.ended(task);
  await withEvents(page, task, [
    { type: 'raw', event: { type: 'system', subtype: 'compact_boundary', compact_metadata: { trigger: 'auto', pre_tokens: 117_200 } } },
    { type: 'raw', event: { type: 'system', subtype: 'commands_changed', commands: [] } },
    { type: 'raw', event: { type: 'system', subtype: 'something_new', value: 1 } },
    { type: 'an_event_of_tomorrow', detail: 'x' },
    { type: 'warning', code: 'mcp_server_failed', message: 'The MCP server notes did not start.' },
    { type: 'stage', stage: 'worker', repo: 'acme/api', branch: 'claude/x' },
    ...calls(
      ['TodoWrite', { todos: [{ content: 'Look', status: 'completed' }, { content: 'Fix', status: 'in_progress' }] }, 'ok'],
      ['Grep', { pattern: 'expires', path: '/workspace/src' }, '/workspace/src/a.ts:3:expires\n/workspace/src/b.ts:9:  expires'],
      ['Glob', { pattern: '**/*.ts' }, 'No files found'],
      ['WebFetch', { url: 'https://acme.test/page', prompt: 'Read it' }, 'It says **hello**.'],
      ['mcp__notes__find_note', { title: 'Milk' }, '{"id":7}'],
      ['MultiEdit', { file_path: '/workspace/a.py', edits: [{ old_string: 'a = 1', new_string: 'a = 2' }, { old_string: 'b', new_string: 'c' }] }, 'ok'],
      ['Frobnicate', { depth: { a: [1, 2] } }, 'done'],
      ['Write', { file_path: '/workspace/x.txt', content: 'x' }, '<tool_use_error>File exists</tool_use_error>', true],
    ),
  ]);
  await open(page, `#/sessions/events?task=${task}`);
  const notes = page.locator('.note');
  await expect(notes.filter({ hasText: 'The conversation was summarised' })).toContainText('117,200 tokens');
  await expect(notes.filter({ hasText: 'Something new' })).toBeVisible();
  await expect(notes.filter({ hasText: 'An event of tomorrow' })).toBeVisible();
  await expect(notes.filter({ hasText: 'commands' })).toHaveCount(0);
  await expect(page.getByText(/other event/i)).toHaveCount(0);
  await page.getByRole('button', { name: 'Unfold all' }).click();
  await expect(step(page, 'Plan').locator('.doing')).toContainText('Fix');
  await expect(step(page, 'Search')).toContainText('2 hits');
  await expect(step(page, 'Search').locator('.hit-place').first()).toHaveText('src/a.ts:3');
  await expect(step(page, 'Find files')).toContainText('No hits');
  await expect(step(page, 'Fetch').getByRole('link', { name: 'https://acme.test/page' })).toBeVisible();
  await expect(step(page, 'Fetch').locator('strong')).toHaveText('hello');
  await expect(step(page, 'notes · find_note')).toContainText('Milk');
  await expect(step(page, 'Edit').locator('.diff')).toHaveCount(2);
  await expect(step(page, 'Frobnicate')).toContainText('"depth"');
  await expect(step(page, 'Write')).toContainText('File exists');
  await expect(step(page, 'Write')).not.toContainText('tool_use_error');
  for (const [colorScheme, width] of [['light', 1280], ['dark', 360]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    const { violations } = await new AxeBuilder({ page }).analyze();
    const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
    expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), colorScheme).toEqual([]);
  }
});

test('hostile tools run nowhere', async ({ page }) => {
  const mark = 'window.__ran = 1';
  const markup = `<img src=x onerror="${mark}"><script>${mark}</script>`;
  const outside = [];
  page.on('request', (request) => request.url().startsWith(server.url) || outside.push(request.url()));
  const task = await server.task('hostile-tools', 'say:x');
  await server.ended(task);
  await withEvents(page, task, [
    { type: 'raw', event: { type: markup, subtype: markup } },
    { type: 'retry', attempt: 1, maxRetries: 1, delayMs: 1, reason: markup },
    ...calls(
      [markup, { [markup]: markup }, markup], [`mcp__${markup}__x`, markup, markup, true], ['Bash', { command: markup, description: markup }, `\u001b[31m${markup}\u001b]8;;javascript:${mark}\u0007link\u001b]8;;\u0007`],
      ['Bash', null, markup], ['Write', { file_path: `${markup}.html`, content: markup }, markup], ['Write', { file_path: 7, content: { a: 1 } }, 'x'],
      ['Edit', { file_path: 'a.svg', old_string: markup, new_string: `${markup}\n${markup}` }, markup], ['MultiEdit', { edits: 'x' }, ''], ['Read', { file_path: 'a.html' }, `1→${markup}\n2→${markup}`],
      ['Grep', { pattern: markup }, `a.ts:1:${markup}`], ['Glob', { pattern: '*' }, markup], ['WebFetch', { url: `javascript:${mark}`, prompt: markup }, markup],
      ['WebFetch', { url: 'https://evil.test/', prompt: '' }, '![x](https://evil.test/pixel.png)'], ['TodoWrite', { todos: [markup, { content: markup, status: markup }] }, ''],
      ['TaskCreate', { subject: markup }, `Task #1 ${markup}`], ['Agent', { description: markup, prompt: markup }, markup], ['ExitPlanMode', { plan: markup }, ''], ['AskUserQuestion', { questions: [{ question: markup, options: [{ label: markup }] }] }, markup],
    ),
  ]);
  await open(page, `#/sessions/hostile-tools?task=${task}`);
  await page.getByRole('button', { name: 'Unfold all' }).click();
  await expect(page.locator('.sheet').first()).toBeVisible();
  await page.getByRole('link', { name: 'https://evil.test/' }).hover();
  for (const link of await page.locator('main a[target]').all()) expect(await link.getAttribute('href')).toMatch(/^(https?|mailto):/);
  expect(await page.locator('main img, main iframe, main style, main script').count()).toBe(0);
  expect(await page.evaluate(() => window.__ran)).toBe(undefined);
  expect(outside).toEqual([]);
  expect(page.errors).toEqual([]);
});

test('the server goes away and comes back; it is said once', async ({ page }) => {
  await open(page, '#/health');
  await expect(page.getByRole('heading', { name: 'Ready for tasks' })).toBeVisible();
  await server.kill();
  await expect(page.getByText('Connection lost')).toHaveCount(1);
  await expect(page.getByRole('heading', { name: 'Before the server went away' })).toBeVisible();
  await expect(page.getByText('does not answer')).toHaveCount(0);
  await server.up();
  await expect(page.getByRole('heading', { name: 'Ready for tasks' })).toBeVisible();
});
