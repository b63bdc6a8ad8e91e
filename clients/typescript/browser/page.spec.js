// The client and the element in a page of another origin, as in a product: with tickets from its backend, under a strict CSP.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { ClaudeRunner } from 'claude-runner';
import { Server } from '../../../tests/browser/server.js';

const KEY = '0123456789abcdef0123456789abcdef';
const dist = join(import.meta.dirname, '../dist');
const HTML = '<!doctype html><html lang="en"><title>A product</title><script type="module" src="/element.js"></script><body></body></html>';

let server;
let product;
let origin;
let runner;

test.beforeAll(async () => {
  product = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://product');
    if (pathname.startsWith('/tickets/')) {
      const ticket = await runner.ticket(decodeURIComponent(pathname.slice('/tickets/'.length)), { origin }).catch(() => null);
      return response.writeHead(ticket ? 200 : 503).end(JSON.stringify(ticket));
    }
    if (pathname === '/') {
      const policy = `default-src 'none'; script-src 'self'; connect-src 'self' ${server.url.replace('http', 'ws')}; require-trusted-types-for 'script'`;
      return response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy }).end(HTML);
    }
    const file = await readFile(join(dist, pathname)).catch(() => null);
    response.writeHead(file ? 200 : 404, { 'content-type': 'text/javascript' }).end(file);
  });
  await new Promise((done) => product.listen(0, '127.0.0.1', done));
  origin = `http://127.0.0.1:${product.address().port}`;
  server = await Server.start({ API_KEYS: KEY, CORS_ORIGINS: origin, DRAIN: 'handoff' });
  runner = new ClaudeRunner({ url: server.url, key: KEY });
});

test.afterAll(async () => {
  await server?.stop();
  product?.close();
});

/** Opens the product's page. Returns a list that collects its errors. */
async function open(page) {
  const wrong = [];
  page.on('dialog', (dialog) => (wrong.push(`dialog ${dialog.message()}`), dialog.dismiss()));
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && /Content Security|Trusted/.test(message.text()) && wrong.push(message.text()));
  await page.goto(origin);
  return wrong;
}

/** Adds the element to the page and records the events that it dispatches. */
const place = (page, session, colours = '') =>
  page.evaluate(([url, session, colours]) => {
    window.dispatched = [];
    for (const name of ['task-complete', 'task-failed', 'stream-error']) {
      document.addEventListener(name, ({ detail }) => window.dispatched.push([name, detail.taskId ?? String(detail)]));
    }
    const element = document.createElement('claude-runner-stream');
    element.setAttribute('url', url);
    element.setAttribute('session', session);
    element.setAttribute('ticket-url', '/tickets/{session}');
    document.documentElement.style.colorScheme = colours;
    document.body.append(element);
  }, [server.url, session, colours]);

/** Follows a session in the page. `window.followed` has its events up to a task's end, `window.codes` the close codes of its streams. */
const follow = (page, sessionId) =>
  page.evaluate(async ([url, sessionId]) => {
    const { ClaudeRunner } = await import('/index.js');
    window.codes = [];
    const Plain = window.WebSocket;
    window.WebSocket = class extends Plain {
      constructor(...where) {
        super(...where);
        this.addEventListener('close', ({ code }) => window.codes.push(code));
      }
    };
    const ticket = async (session) => (await fetch(`/tickets/${session}`, { method: 'POST' })).json();
    window.seen = 0;
    window.followed = (async () => {
      const events = [];
      for await (const event of new ClaudeRunner({ url, ticket }).stream(sessionId, { since: 0 })) {
        events.push(event);
        window.seen = event.seq;
        if (event.type === 'task_complete') return events;
      }
    })();
  }, [server.url, sessionId]);

/** Returns a session's stored events up to the last end of a task. */
async function kept(sessionId) {
  const exported = await fetch(`${server.url}/session/${sessionId}/events`, {
    headers: { accept: 'application/x-ndjson', authorization: `Bearer ${KEY}` },
  });
  const events = (await exported.text()).trim().split('\n').map((line) => JSON.parse(line));
  return events.slice(0, events.findLastIndex(({ type }) => type === 'task_complete') + 1);
}

const dispatched = (page) => page.evaluate(() => window.dispatched);

test('the element shows text, thinking, tools, state and cost, and never markup', async ({ page }) => {
  const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b>';
  const wrong = await open(page);
  const sessionId = 'a session/with no slash'.replace('/', ' ');
  await place(page, sessionId);
  const log = page.getByRole('log');
  await expect(log).toHaveAttribute('aria-live', 'polite');
  await expect(page.getByRole('status')).toHaveText('Ready');

  const first = await runner.submit({ sessionId, message: `think:${hostile}` });
  expect(first.response).toBe(hostile);
  await expect(page.getByRole('status')).toHaveText('Done');
  await expect(log.locator('.thinking')).toHaveText(`considering ${hostile}`);
  await expect(log.locator('.text')).toHaveText([hostile]);

  await runner.submit({ sessionId, message: `bash:echo '${hostile}'` });
  await expect(log.locator('details')).toHaveCount(1);
  await log.locator('summary').focus();
  await page.keyboard.press('Enter');
  await expect(log.locator('details pre').last()).toHaveText(hostile);
  // The text between two other items is one paragraph, and no paragraph spans two tasks.
  await expect(log.locator('.text')).toHaveText([hostile, 'Running it.', `done: ${hostile}`]);
  await expect(page.locator('claude-runner-stream [part=cost]')).toHaveText(/^\$0\.0\d+$/);

  const long = await runner.start({ sessionId, message: 'bash:sleep 100' });
  await expect(log.locator('details')).toHaveCount(2);
  await expect(page.getByRole('status')).toHaveText('Working…');
  await long.abort();
  await expect(page.getByRole('status')).toHaveText('Aborted');
  expect((await dispatched(page)).map(([name]) => name)).toEqual(['task-complete', 'task-complete', 'task-failed']);
  expect((await dispatched(page))[0][1]).toBe(first.taskId);

  // No part of the text became an element, and no script ran.
  expect(await page.evaluate(() => document.querySelector('claude-runner-stream').shadowRoot.querySelectorAll('img, script, b').length)).toBe(0);
  expect(wrong).toEqual([]);
  await page.locator('claude-runner-stream').screenshot({ path: join(dist, 'element.png') });

  await runner.deleteSession(sessionId);
  await expect(page.getByRole('status')).toHaveText('The session was deleted');
});

test('the element and the client in a page go on after kill -9', async ({ page }) => {
  const wrong = await open(page);
  const sessionId = 'killed';
  await place(page, sessionId, 'dark');
  await expect(page.getByRole('status')).toHaveText('Ready');
  await page.evaluate(async ([url, sessionId]) => {
    const { ClaudeRunner } = await import('/index.js');
    const ticket = async (session) => (await fetch(`/tickets/${session}`, { method: 'POST' })).json();
    window.states = [];
    window.followed = (async () => {
      const events = [];
      const onState = (state) => window.states.push(state);
      for await (const event of new ClaudeRunner({ url, ticket }).stream(sessionId, { since: 0, onState })) {
        events.push(event);
        if (event.type === 'task_complete') return events;
      }
    })();
  }, [server.url, sessionId]);

  await runner.start({ sessionId, message: 'slow:60' });
  await expect(page.getByRole('log')).toContainText('w9');
  await server.kill();
  await expect(page.getByRole('status')).toHaveText('Connection lost, reconnecting…');
  await server.up();

  await expect(page.getByRole('status')).toHaveText('Done');
  const answer = Array.from({ length: 60 }, (_, i) => `w${i}`).join(' ');
  expect((await page.getByRole('log').innerText()).trim()).toBe(answer);
  expect((await dispatched(page)).length).toBe(1);

  const exported = await fetch(`${server.url}/session/${sessionId}/events`, {
    headers: { accept: 'application/x-ndjson', authorization: `Bearer ${KEY}` },
  });
  const kept = (await exported.text()).trim().split('\n').map((line) => JSON.parse(line));
  const last = kept.findIndex(({ type }) => type === 'task_complete');
  expect(await page.evaluate(() => window.followed)).toEqual(kept.slice(0, last + 1));
  expect(await page.evaluate(() => window.states)).toEqual(['live', 'lost', 'live']);
  expect(wrong).toEqual([]);
  await page.locator('claude-runner-stream').screenshot({ path: join(dist, 'element-dark.png') });
});

test('a reader that is slower than its stream keeps little, and misses nothing', async ({ page }) => {
  // On a busy machine, ten thousand events take half a minute.
  test.slow();
  await open(page);
  const sessionId = 'large';
  await runner.submit({ sessionId, message: 'big:12000' });
  const { seq } = await runner.session(sessionId);
  expect(seq).toBeGreaterThan(10_000);
  const { numbers, tickets } = await page.evaluate(async ([url, sessionId, seq]) => {
    const { ClaudeRunner } = await import('/index.js');
    let tickets = 0;
    const ticket = async (session) => (tickets++, (await fetch(`/tickets/${session}`, { method: 'POST' })).json());
    const numbers = [];
    const { close } = WebSocket.prototype;
    const closed = new Promise((done) => {
      WebSocket.prototype.close = function () {
        done();
        close.call(this);
      };
    });
    for await (const event of new ClaudeRunner({ url, ticket }).stream(sessionId, { since: 0 })) {
      numbers.push(event.seq);
      // Read no more until the buffer exceeds its limit.
      if (event.seq === 1) await closed;
      if (event.seq === seq) break;
    }
    return { numbers, tickets };
  }, [server.url, sessionId, seq]);
  expect(numbers).toEqual(Array.from({ length: seq }, (_, i) => i + 1));
  expect(tickets).toBe(2);
});

test('a stream that the server ends as it stops (1001) goes on with the next server', async ({ page }) => {
  await open(page);
  const sessionId = 'stopped';
  await follow(page, sessionId);
  const task = await runner.start({ sessionId, message: 'slow:40' });
  await expect.poll(() => page.evaluate(() => window.seen)).toBeGreaterThan(5);
  await server.end();
  await expect.poll(() => page.evaluate(() => window.codes)).toContain(1001);
  await server.up();
  expect((await task.result()).response).toMatch(/w39/);
  expect(await page.evaluate(() => window.followed)).toEqual(await kept(sessionId));
});
