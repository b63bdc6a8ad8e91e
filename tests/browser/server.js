// A server for one test with a scripted model and, if requested, a forge. The test can kill and restart it.
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FORGE_TOKEN = 'ghp_forge_token_of_the_browser_tests';
const root = join(import.meta.dirname, '../..');
const target = process.env.TARGET_DIR ?? join(root, 'target');

export class Server {
  /** `agents` maps names to instructions, for several agents. `scripts` is a directory of the scripted model's answers. */
  static async start(env = {}, { forge = false, agents = null, scripts = 'tests/it/repository' } = {}) {
    const server = new Server();
    // The path is short, because a socket's path has at most 107 bytes.
    server.place = mkdtempSync('/tmp/cr-');
    mkdirSync(join(server.place, 'run'), { mode: 0o700 });
    // An agent that answers in text, so that the scripted model's answer is returned.
    for (const [name, settings] of Object.entries(agents ?? { '': '' })) {
      const directory = join(server.place, 'agent', name);
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, 'AGENTS.md'), '# An agent\n\nAnswer what you are asked.\n');
      if (settings) writeFileSync(join(directory, 'agent.toml'), settings);
    }
    server.env = env;
    const model = server.program('scripted-model', ['--port', '0', '--scripts', join(root, scripts)]);
    server.model = model.process;
    server.modelUrl = (await model.seen(/listens on (http:\/\/127\.0\.0\.1:\d+)/))[1];
    if (forge) await server.startForge();
    server.port = 0;
    await server.up();
    return server;
  }

  /** Starts a server with the sample repositories. The agent image contains the programs that their tasks need. */
  async startForge() {
    const program = this.program('forge', ['--port', '0', '--token', FORGE_TOKEN, '--directory', join(this.place, 'forge')]);
    this.forge = program.process;
    this.forgeUrl = (await program.seen(/listens on (http:\/\/127\.0\.0\.1:\d+)/))[1];
    this.env = {
      GITHUB_TOKEN: FORGE_TOKEN, GITHUB_URL: this.forgeUrl, GITHUB_API_URL: `${this.forgeUrl}/api/v3`,
      REPOSITORY_IMAGE: process.env.DOCKER_IMAGE ?? 'claude-runner', ...this.env,
    };
  }

  /** Returns a pull request from the forge. */
  async pull(repository, number) {
    const headers = { authorization: `Bearer ${FORGE_TOKEN}` };
    return (await fetch(`${this.forgeUrl}/api/v3/repos/${repository}/pulls/${number}`, { headers })).json();
  }

  async up() {
    const runner = this.program('claude-runner', ['serve']);
    this.runner = runner.process;
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

  async task(sessionId, message, more = {}) {
    return (await this.call('/task', { method: 'POST', body: { sessionId, message, async: true, ...more } })).taskId;
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

  /** Stops the server as an operator does. With `DRAIN=handoff`, running tasks continue without it. */
  end() {
    return ended(this.runner, 'SIGTERM');
  }

  async stop() {
    if (this.runner.exitCode === null && this.runner.signalCode === null) {
      // Sessions outlive a server, so remove those of this test.
      for (const { sessionId } of await this.call('/sessions')) {
        await this.call(`/session/${encodeURIComponent(sessionId)}`, { method: 'DELETE' });
      }
      await ended(this.runner, 'SIGTERM');
    }
    await ended(this.model, 'SIGTERM');
    if (this.forge) await ended(this.forge, 'SIGTERM');
    rmSync(this.place, { recursive: true, force: true });
  }
}

async function ended(child, signal) {
  const exit = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await exit;
}
