// A server of a test's own, with a scripted model behind it. It can be killed and started again.
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const target = process.env.TARGET_DIR ?? join(root, 'target');

export class Server {
  static async start(env = {}) {
    const server = new Server();
    // Short, since a socket's path may have 107 bytes.
    server.place = mkdtempSync('/tmp/cr-');
    mkdirSync(join(server.place, 'run'), { mode: 0o700 });
    // An agent that answers in words, so that what is said to it comes back.
    mkdirSync(join(server.place, 'agent'));
    writeFileSync(join(server.place, 'agent/AGENTS.md'), '# An agent\n\nAnswer what you are asked.\n');
    server.env = env;
    const model = server.program('scripted-model', ['--port', '0']);
    server.model = model.process;
    server.modelUrl = (await model.seen(/listens on (http:\/\/127\.0\.0\.1:\d+)/))[1];
    server.port = 0;
    await server.up();
    return server;
  }

  async up() {
    const runner = this.program('claude-runner', ['serve']);
    this.runner = runner.process;
    /** What its log has of a pattern, once it has it. */
    this.logged = runner.seen;
    this.port = Number((await runner.seen(/listening address=[0-9.]+:(\d+)/))[1]);
    this.url = `http://127.0.0.1:${this.port}`;
  }

  program(name, args) {
    const { CLAUDE_CODE_OAUTH_TOKEN: _, ...own } = process.env;
    const env = {
      ...own, NO_COLOR: '1', ANTHROPIC_BASE_URL: this.modelUrl, ANTHROPIC_API_KEY: 'sk-ant-scripted', API_KEYS: '', HOST: '127.0.0.1',
      PORT: String(this.port), DATA_DIR: join(this.place, 'data'), RUNTIME_DIR: join(this.place, 'run'), AGENT_DIR: join(this.place, 'agent'),
      DRAIN_TIMEOUT_MS: '1000', CORS_ORIGINS: '', ALLOWED_HOSTS: '', ...this.env,
    };
    const child = spawn(join(target, 'debug', name), args, { cwd: this.place, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    let look = () => {};
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.on('data', (data) => {
        log += data;
        look();
      });
    }
    const seen = (pattern) => new Promise((done, fail) => {
      look = () => pattern.test(log) && done(pattern.exec(log));
      child.once('exit', (code) => fail(new Error(`${name} ended with ${code}: ${log.slice(-2000)}`)));
      look();
    });
    return { process: child, seen };
  }

  async call(path, { method = 'GET', body, key = this.env.API_KEYS } = {}) {
    const headers = { ...(body && { 'content-type': 'application/json' }), ...(key && { authorization: `Bearer ${key}` }) };
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    return answer.json();
  }

  async task(sessionId, message) {
    return (await this.call('/task', { method: 'POST', body: { sessionId, message, async: true } })).taskId;
  }

  async ended(task) {
    for (;;) {
      const record = await this.call(`/task/${task}`);
      if (!['queued', 'running'].includes(record.status)) return record;
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  kill() {
    return ended(this.runner, 'SIGKILL');
  }

  /** As an operator ends it; with `DRAIN=handoff` what runs goes on without it. */
  end() {
    return ended(this.runner, 'SIGTERM');
  }

  async stop() {
    if (this.runner.exitCode === null && this.runner.signalCode === null) {
      // Sessions outlive a server; these must not.
      for (const { sessionId } of await this.call('/sessions')) {
        await this.call(`/session/${encodeURIComponent(sessionId)}`, { method: 'DELETE' });
      }
      await ended(this.runner, 'SIGTERM');
    }
    await ended(this.model, 'SIGTERM');
    rmSync(this.place, { recursive: true, force: true });
  }
}

async function ended(child, signal) {
  const exit = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await exit;
}
