// Compiles and runs the program of the README.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { KEY, withServer } from './server.js';

const holder = withServer();
const run = promisify(execFile);
const root = new URL('..', import.meta.url).pathname;

test('the ten lines of the README run as they stand', async () => {
  const readme = await readFile(`${root}README.md`, 'utf8');
  const program = /```ts\n([^]*?)```/.exec(readme)[1];
  assert.ok(program.trim().split('\n').filter(Boolean).length <= 10);
  await mkdir(`${root}dist/readme`, { recursive: true });
  await writeFile(`${root}dist/readme/program.ts`, program);
  // Inside the package, so that the package's own name resolves.
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node', 'dist/readme/program.ts'];
  await run('npx', ['--no-install', 'tsc', ...options], { cwd: root });
  await build({ entryPoints: [`${root}dist/readme/program.ts`], bundle: true, platform: 'node', format: 'esm', outfile: `${root}dist/readme/program.js` });
  const env = { ...process.env, CLAUDE_RUNNER_URL: holder.server.url, CLAUDE_RUNNER_KEY: KEY };
  const { stdout } = await run(process.execPath, [`${root}dist/readme/program.js`, 'bash:echo from the sandbox'], { env });
  assert.match(stdout, /> Bash \{ command: 'echo from the sandbox'.*\}\ndone: from the sandbox\n?0\.\d+\n$/s);
});

test('the programs of the guides have no wrong types', async () => {
  const repository = new URL('../../../', import.meta.url).pathname;
  const pages = (await readdir(`${repository}docs`, { recursive: true })).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  const place = `${root}dist/guides`;
  await rm(place, { recursive: true, force: true });
  await mkdir(place, { recursive: true });
  const files = [];
  for (const page of ['README.md', ...pages]) {
    for (const [, name, program] of (await readFile(repository + page, 'utf8')).matchAll(/^```ts (\S+)\n([^]*?)^```$/gm)) {
      files.push(`${place}/${files.length}-${name}`);
      await writeFile(files.at(-1), program);
    }
  }
  assert.ok(files.length >= 4, files);
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2023,dom', '--module', 'nodenext', '--types', 'node'];
  await run('npx', ['--no-install', 'tsc', ...options, ...files], { cwd: root }).catch((error) => assert.fail(error.stdout));
});
