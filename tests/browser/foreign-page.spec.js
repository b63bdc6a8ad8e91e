// A page of another origin tries every kind of request against a server with a running task.
import http from 'node:http';
import { expect, test } from '@playwright/test';

const server = new URL(process.env.RUNNER_URL);
const json = { 'content-type': 'application/json' };
const call = async (path, options) => (await fetch(new URL(path, server), options)).json();

let evil;
let task;

test.beforeAll(async () => {
  evil = http.createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>evil</title><body>');
  });
  await new Promise((done) => evil.listen(0, '127.0.0.1', done));
  const body = JSON.stringify({ sessionId: 'victim', message: 'bash:sleep 100', async: true });
  ({ taskId: task } = await call('/task', { method: 'POST', headers: json, body }));
  await expect.poll(async () => (await call(`/task/${task}`)).status).toBe('running');
});

test.afterAll(async () => {
  await call('/session/victim', { method: 'DELETE' });
  evil.close();
});

/** Checks that no task was submitted or aborted, and no session reset or deleted. */
async function untouched() {
  const tasks = await call('/tasks');
  expect(tasks.map(({ id, status }) => ({ id, status }))).toEqual([{ id: task, status: 'running' }]);
  expect((await call('/sessions')).map(({ sessionId }) => sessionId)).toEqual(['victim']);
}

/** Runs in the page and tries every way to send and to read. Returns the names of the ways that read something. */
async function attack({ base, task }) {
  const got = [];
  const submission = JSON.stringify({ sessionId: 'stolen', message: 'hi', async: true });
  const targets = [
    ['GET', '/tasks'], ['GET', '/sessions'], ['GET', '/health'], ['GET', `/task/${task}/logs`],
    ['GET', '/session/victim/events?since=0'], ['POST', '/task', submission], ['POST', `/task/${task}/abort`],
    ['POST', '/task/victim/abort'], ['POST', '/session/victim/reset'], ['DELETE', '/session/victim'],
  ];
  const types = [undefined, 'text/plain', 'application/x-www-form-urlencoded', 'application/json'];
  const sent = [];
  for (const [method, path, body] of targets) {
    for (const mode of ['cors', 'no-cors', 'same-origin']) {
      for (const type of types) {
        for (const credentials of ['omit', 'include']) {
          const headers = type ? { 'content-type': type } : {};
          const signal = AbortSignal.timeout(5000);
          const read = async () => {
            const response = await fetch(base + path, { method, mode, body, headers, credentials, signal });
            if (response.type !== 'opaque' && response.ok) got.push(`fetch ${mode} ${method} ${path}`);
          };
          sent.push(read().catch(() => {}));
        }
      }
    }
    navigator.sendBeacon(base + path, new Blob([body ?? ''], { type: 'text/plain' }));
  }
  await Promise.all(sent);

  const tags = { img: 'src', script: 'src', link: 'href', object: 'data', video: 'src', audio: 'src' };
  for (const [tag, attribute] of Object.entries(tags)) {
    for (const path of ['/health', '/tasks']) {
      const element = document.createElement(tag);
      if (tag === 'link') element.rel = 'stylesheet';
      const loaded = new Promise((done) => {
        element.onload = element.onloadeddata = () => done(true);
        element.onerror = () => done(false);
        setTimeout(done, 2000, false);
      });
      element[attribute] = base + path;
      document.body.append(element);
      if (await loaded) got.push(`${tag} ${path}`);
    }
  }

  for (const enctype of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
    for (const [method, path] of targets.filter(([method]) => method === 'POST')) {
      const frame = document.createElement('iframe');
      frame.name = `frame-${Math.random()}`;
      document.body.append(frame);
      const form = document.createElement('form');
      Object.assign(form, { method, action: base + path, enctype, target: frame.name });
      const input = document.createElement('input');
      // As text/plain, the form's body is JSON with one extra field.
      input.name = submission.slice(0, -1) + ',"metadata":{"';
      input.value = '":1}}';
      form.append(input);
      document.body.append(form);
      const loaded = new Promise((done) => { frame.onload = done; setTimeout(done, 2000); });
      form.submit();
      await loaded;
      try {
        if (frame.contentDocument?.body.textContent) got.push(`form ${path}`);
      } catch { /* another origin's, as it should be */ }
    }
  }

  const opened = (source) => new Promise((done) => {
    source.onopen = source.onmessage = () => done(true);
    source.onerror = () => done(false);
    setTimeout(done, 5000, false);
  });
  if (await opened(new WebSocket(`${base.replace('http', 'ws')}/stream/victim?since=0`))) got.push('WebSocket');
  if (await opened(new EventSource(`${base}/session/victim/events?since=0`))) got.push('EventSource');
  return got;
}

test('a page of another site reads and changes nothing', async ({ page }) => {
  for (const host of ['evil.test', 'localhost', '127.0.0.1']) {
    await page.goto(`http://${host}:${evil.address().port}/`);
    expect(await page.evaluate(attack, { base: server.origin, task }), host).toEqual([]);
    await untouched();
  }
});

test('a name that was bound to this machine reads and changes nothing', async ({ page }) => {
  const base = `http://rebind.test:${server.port}`;
  // The page comes from the attacker's machine, before the rebinding of its name. All other requests reach the server.
  await page.route(`${base}/page`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><body>' }));
  await page.goto(`${base}/page`);
  expect(await page.evaluate(attack, { base, task })).toEqual([]);
  await untouched();
});

test('a page in an opaque origin reads and changes nothing', async ({ page }) => {
  await page.goto('data:text/html,<body>');
  expect(await page.evaluate(attack, { base: server.origin, task })).toEqual([]);
  await untouched();
});
