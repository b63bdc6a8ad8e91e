// Repository tasks, agents and webhooks in the dashboard: the real coordinator with real containers, a forge in
// GitHub's shape, and a receiver of webhooks.
import { expect, test } from '@playwright/test';
import { fact, open, result, status } from './page.js';
import { Receiver } from './receiver.js';
import { Server } from './server.js';

const SECRET = 'whsec_b3BlcmF0b3JzLXNlY3JldC1mb3Itd2ViaG9va3M=';

let [server, receiver] = [];
test.beforeAll(async () => {
  receiver = await Receiver.start();
  const env = { API_KEYS: 'repository-test-key-0123456789abcdefgh', WEBHOOK_ALLOW: receiver.origin, WEBHOOK_SECRET: SECRET, WEBHOOK_RETRY_MS: '600000' };
  const agents = { plain: 'default = true\ndescription = "Answers questions"\n', review: 'description = "Reviews changes"\nmax_turns = 7\nenv = ["TEAM"]\n' };
  server = await Server.start(env, { forge: true, agents });
});
test.afterAll(async () => {
  await server?.stop();
  await receiver?.stop();
});

test('a repository task with its pull request', async ({ page }) => {
  await open(page, server);
  await page.getByRole('button', { name: 'Repository task' }).click();
  await page.getByLabel('Task', { exact: true }).fill('Fix the token refresh bug');
  await page.getByLabel('From branch').fill('no branch');
  await page.getByRole('button', { name: 'Start task' }).click();
  await expect(page.getByLabel('From branch')).toBeFocused();
  await expect(page.getByRole('alert')).toContainText('branch');
  await page.getByLabel('From branch').fill('');
  await page.getByRole('button', { name: 'Start task' }).click();

  await expect(fact(page, 'Stage')).toContainText('worker');
  for (const line of ['Orchestrator chooses', 'Orchestrator prepares', 'Worker works', 'Worker has opened']) {
    await expect(page.locator('.note', { hasText: line })).toBeVisible();
  }
  await expect(page.locator('.note', { hasText: 'Worker works' })).toContainText('acme/acme-api');
  const pull = page.getByRole('region', { name: 'Pull request' });
  await expect(status(page)).toHaveText('completed', { timeout: 60_000 });
  await expect(pull).toContainText('ready for review');
  await expect(pull).toContainText('acme/acme-api');
  const link = pull.getByRole('link', { name: /^PR #/ });
  const address = await link.getAttribute('href');
  expect(address).toMatch(new RegExp(`^${server.forgeUrl}/acme/acme-api/pull/\\d+$`));
  expect(await link.getAttribute('rel')).toContain('noopener');
  // The forge has the same branch.
  const found = await server.pull('acme/acme-api', address.split('/').at(-1));
  expect(found.draft).toBe(false);
  await expect(pull).toContainText(found.head.ref);
  await expect(result(page)).toContainText('Refresh tokens before they end');
  await expect(result(page).getByRole('list', { name: 'Checks' })).toContainText('npm test');

  // The task has a row in the list, and its session has the files of the clone.
  await page.getByRole('link', { name: 'Overview' }).click();
  const row = page.getByRole('row', { name: /Fix the token refresh bug/ });
  await expect(row).toContainText('acme/acme-api');
  await expect(row).toContainText('worker');
  expect(await row.getByRole('link', { name: /^PR #/ }).getAttribute('href')).toBe(address);
  await row.getByRole('link', { name: 'Fix the token refresh bug' }).click();
  await expect(page.locator('.session-facts .fact', { hasText: 'Repository' })).toContainText('acme/acme-api');
  await page.getByRole('button', { name: 'Files', exact: true }).click();
  await expect(page.getByRole('region', { name: 'Files' })).toContainText('Changed');
  expect(page.errors).toEqual([]);
});

test('a draft, its blockers, and once more', async ({ page }) => {
  const { taskId } = await server.call('/task', { method: 'POST', body: { prompt: 'be blocked', repo: 'acme/handbook' } });
  await open(page, server, `#/tasks/${taskId}`);
  await expect(status(page)).toHaveText('failed', { timeout: 60_000 });
  const pull = page.getByRole('region', { name: 'Pull request' });
  await expect(pull).toContainText('draft');
  const number = (await pull.getByRole('link', { name: /^PR #/ }).getAttribute('href')).split('/').at(-1);
  expect((await server.pull('acme/handbook', number)).draft).toBe(true);
  await expect(result(page)).toContainText('needs a decision');
  await page.getByRole('button', { name: 'Retry' }).click();
  await expect(page).not.toHaveURL(new RegExp(taskId));
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('be blocked');
  // The second press kills what the first one only ends.
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByRole('button', { name: 'Kill', exact: true }).click();
  await expect(status(page)).toHaveText(/aborted|failed/);
});

test('a prompt that fits several repositories needs one click', async ({ page }) => {
  const { taskId } = await server.call('/task', { method: 'POST', body: { prompt: 'change nothing, it is unclear where' } });
  await open(page, server, `#/tasks/${taskId}`);
  const choice = page.getByRole('region', { name: 'Select a repository' });
  await expect(choice.getByRole('button')).toHaveText(['acme/acme-api', 'acme/acme-web', 'acme/handbook', 'Other repository'], { timeout: 60_000 });
  await choice.getByRole('button', { name: 'Other repository' }).click();
  await expect(page.getByLabel('Task', { exact: true })).toHaveValue('change nothing, it is unclear where');
  await page.goBack();
  await choice.getByRole('button', { name: 'acme/handbook' }).click();
  await expect(page).not.toHaveURL(new RegExp(taskId));
  await expect(status(page)).toHaveText('failed', { timeout: 60_000 });
  const chosen = await server.call(`/task/${new URLSearchParams(page.url().split('?').at(-1)).get('task')}`);
  expect([chosen.repo, chosen.errorType]).toEqual(['acme/handbook', 'nothing_to_do']);
});

test('an agent is selected, and the result is sent by webhook', async ({ page }) => {
  await open(page, server);
  const agent = page.getByRole('combobox', { name: 'Agent', exact: true });
  await expect(agent.locator('option')).toHaveText(['plain (default)', 'review']);
  await page.getByLabel('Session', { exact: true }).fill('pr-7');
  await agent.selectOption('review');
  await expect(page.getByText('Reviews changes')).toBeVisible();
  await page.getByLabel('Message', { exact: true }).fill('bash:echo "team=$TEAM"');
  // The form explains each field that the agent needs.
  await page.getByRole('button', { name: 'Send message' }).click();
  await expect(page.getByLabel('Environment')).toBeFocused();
  await expect(page.getByRole('alert')).toContainText('TEAM');
  await expect(page.getByLabel('Max turns')).toHaveAttribute('placeholder', '7');
  await page.getByLabel('Environment').fill('# ours\nTEAM="blue green"');
  await page.getByLabel('Webhook, called').fill('ftp://x');
  await page.getByRole('button', { name: 'Send message' }).click();
  await expect(page.getByLabel('Webhook, called')).toBeFocused();
  await page.getByLabel('Webhook, called').fill(`${receiver.origin}/hook`);
  receiver.replies = [500, 503, 200, 200];
  await page.getByRole('button', { name: 'Send message' }).click();
  await expect(result(page)).toContainText('team=blue green');
  await expect(page.locator('.session-facts .fact', { hasText: 'Agent' })).toContainText('review');

  const deliveries = page.getByRole('region', { name: 'Webhooks' });
  await expect(deliveries).toContainText('500');
  await expect(deliveries).toContainText('pending');
  await expect(deliveries).toContainText(/in \d+ min/);
  await deliveries.getByRole('button', { name: /Send now/ }).click();
  await expect(deliveries.locator('.error-text')).toContainText('503');
  await deliveries.getByRole('button', { name: /Send now/ }).click();
  await expect(deliveries).toContainText('delivered');
  await deliveries.locator('summary').click();
  await expect(deliveries.locator('li')).toHaveCount(3);
  await deliveries.getByRole('button', { name: /Send again/ }).click();
  await expect.poll(() => receiver.received.length).toBe(4);
  expect(new Set(receiver.received.map(({ data }) => data.taskId)).size).toBe(1);

  await page.getByRole('link', { name: 'Webhooks' }).click();
  await expect(page.getByRole('row', { name: /task\.completed/ })).toContainText('team=');
  await page.getByRole('button', { name: 'Failed' }).click();
  await expect(page.getByText('No delivery is failed')).toBeVisible();

  // A session keeps its agent.
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByLabel('Session', { exact: true }).fill('pr-7');
  await expect(agent).toBeDisabled();
  await expect(agent).toHaveValue('review');
  expect(page.errors).toEqual([]);
});
