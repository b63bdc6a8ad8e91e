// The page shows which model answers: Claude, a scripted model, or none.
import { expect, test } from '@playwright/test';
import { fact, open } from './page.js';
import { Server } from './server.js';

/** The page's banner about the model. */
const note = (page) => page.getByRole('note');

async function withServer(env, check) {
  const server = await Server.start({ API_KEYS: '', ANTHROPIC_API_KEY: undefined, HOME: '/nonexistent', ...env });
  try {
    await check(server);
  } finally {
    await server.stop();
  }
}

test('a server with a credential needs no words', async ({ page }) => {
  await withServer({ ANTHROPIC_API_KEY: 'sk-ant-scripted' }, async (server) => {
    const asked = page.waitForResponse((answer) => answer.url().endsWith('/health'));
    await open(page, server);
    await (await asked).finished();
    await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
    await expect(note(page)).toHaveCount(0);
  });
});

test('the scripted model is announced on each page, and on its tasks', async ({ page }) => {
  await withServer({ SCRIPTED: 'true' }, async (server) => {
    await open(page, server);
    await expect(note(page)).toContainText('The scripted model answers, not Claude.');
    const task = await server.task('s', 'say:hello');
    expect((await server.ended(task)).status).toBe('completed');
    await open(page, server, `#/tasks/${task}`);
    await expect(fact(page, 'Model')).toContainText('scripted, not');
    await expect(note(page)).toBeVisible();
    expect(page.errors).toEqual([]);
  });
});

test('a server without a credential says so before the first task', async ({ page }) => {
  await withServer({}, async (server) => {
    await open(page, server);
    await expect(note(page)).toContainText('There is no credential for the model');
    await expect(note(page)).toContainText('claude-runner serve --scripted');
  });
});
