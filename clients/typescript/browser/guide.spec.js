// Runs the product of docs/guides/frontend.md: the backend in Node, both views in Chromium.
import { spawn } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, test } from '@playwright/test';
import { build } from 'esbuild';
import { ClaudeRunner } from 'claude-runner';
import { Server } from '../../../tests/browser/server.js';

const KEY = '0123456789abcdef0123456789abcdef';
const root = join(import.meta.dirname, '../../..');
// Inside the package, so that the package's own name resolves.
const shop = join(root, 'clients/typescript/dist/shop');

let server;
let product;
let origin;

test.beforeAll(async () => {
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  server = await Server.start({ API_KEYS: KEY, CORS_ORIGINS: origin });
  await rm(shop, { recursive: true, force: true });
  const guide = await readFile(join(root, 'docs/guides/frontend.md'), 'utf8');
  const files = [...guide.matchAll(/^```\w+ (\S+)\n([^]*?)^```$/gm)];
  expect(files.map(([, name]) => name)).toEqual(['server.mjs', 'public/index.html', 'live.ts', 'public/live.html']);
  for (const [, name, text] of files) {
    await mkdir(dirname(join(shop, name)), { recursive: true });
    await writeFile(join(shop, name), text.replaceAll('127.0.0.1:3456', new URL(server.url).host).replaceAll('8080', String(port)));
  }
  await cp(join(root, 'clients/typescript/dist/element.js'), join(shop, 'public/element.js'));
  await build({ entryPoints: [join(shop, 'live.ts')], bundle: true, format: 'esm', outfile: join(shop, 'public/live.js') });
  product = spawn(process.execPath, ['server.mjs'], { cwd: shop, env: { ...process.env, CLAUDE_RUNNER_KEY: KEY }, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((done, fail) => {
    product.stdout.once('data', done);
    product.once('exit', (code) => fail(new Error(`server.mjs ended with ${code}`)));
  });
});

test.afterAll(async () => {
  product?.kill();
  await server?.stop();
});

test('the page of the guide sends a message, and both views show it', async ({ page, context }) => {
  await page.goto(origin);
  const other = await context.newPage();
  await other.goto(`${origin}/live.html`);
  await page.getByLabel('Message').fill('bash:echo from the sandbox');
  await page.getByRole('button', { name: 'Send' }).click();
  await expect(page.getByRole('status')).toHaveText('Done');
  await expect(page.getByRole('log')).toContainText('done: from the sandbox');
  await expect(other.locator('pre')).toContainText('> Bash {"command":"echo from the sandbox"');
  await expect(other.locator('pre')).toContainText('done: from the sandbox');
  await expect(other).toHaveTitle('live');

  // Both views continue across a restart, each with a new ticket.
  await server.kill();
  await expect(page.getByRole('status')).toHaveText('Connection lost, reconnecting…');
  await server.up();
  await new ClaudeRunner({ url: server.url, key: KEY }).submit({ sessionId: 'shop-user-1', message: 'say:after the restart' });
  await expect(page.getByRole('log')).toContainText('after the restart');
  await expect(other.locator('pre')).toContainText('after the restart');
});

function freePort() {
  return new Promise((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}
