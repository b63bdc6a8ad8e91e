// The client against the real server, over plain HTTP, as in Node.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { ClaudeRunner, RunnerError } from 'claude-runner';
import { KEY, exported, withServer } from './server.js';

const holder = withServer({ DRAIN: 'handoff' });
const runnerOf = (more = {}) => new ClaudeRunner({ url: holder.server.url, key: KEY, ...more });

async function failure(promise) {
  const error = await promise.then(() => assert.fail('it succeeded'), (error) => error);
  assert.ok(error instanceof RunnerError, error);
  return error;
}

test('submits, streams to the end, aborts', async () => {
  const runner = runnerOf();
  const sessionId = 'use';
  const answer = await runner.submit({ sessionId, message: 'say:hello there', metadata: { n: 1 } });
  assert.deepEqual([answer.status, answer.response], ['completed', 'hello there']);

  const task = await runner.start({ sessionId, message: 'think:once more' });
  const events = await collect(task.events());
  assert.deepEqual(events, (await exported(holder.server, sessionId)).filter(({ taskId }) => taskId === task.id));
  assert.deepEqual([events[0].type, events.at(-1).type], ['task_queued', 'task_complete']);
  const { type, seq, ts, ...result } = events.at(-1);
  assert.deepEqual(await task.result(), result);

  // Two requests with one key create one task.
  const same = { idempotencyKey: 'same' };
  const [one, two] = await Promise.all([0, 1].map(() => runner.start({ sessionId, message: 'say:same' }, same)));
  assert.equal(one.id, two.id);
  const other = await failure(runner.start({ sessionId, message: 'say:other' }, same));
  assert.deepEqual([other.status, other.code, other.retryable], [422, 'idempotency_conflict', false]);

  const long = await runner.start({ sessionId, message: 'bash:sleep 100' });
  let last;
  for await (const event of long.events()) {
    last = event;
    if (event.type === 'tool_start') assert.equal((await long.abort()).aborted, true);
  }
  assert.deepEqual([last.type, last.by], ['abort', 'request']);
  const aborted = await failure(long.result());
  assert.deepEqual([aborted.code, aborted.errorType, aborted.taskId], ['aborted', 'aborted', long.id]);

  assert.equal((await (await runner.attach(task.id)).show()).status, 'completed');
  assert.deepEqual((await runner.tasks({ sessionId, status: 'aborted' })).map(({ id }) => id), [long.id]);
  assert.ok((await runner.sessions()).some((session) => session.sessionId === sessionId));
  assert.ok((await runner.usage({ sessionId, by: 'session' })).totals.requests >= 3);
  assert.equal((await runner.agents())[0].default, true);
  assert.equal((await runner.ticket(sessionId)).protocols[0], 'claude-runner');

  // A stream ends when its reader leaves it, and when its session is deleted.
  for await (const { seq } of runner.stream(sessionId, { since: 0 })) {
    assert.equal(seq, 1);
    break;
  }
  const { epoch } = await runner.session(sessionId);
  const states = [];
  const rest = collect(runner.stream(sessionId, { since: 1, onState: (state) => states.push(state) }));
  assert.equal((await runner.resetSession(sessionId)).reset, true);
  assert.deepEqual(await runner.deleteSession(sessionId), { deleted: sessionId });
  assert.equal((await rest).at(-1).type, 'session_deleted');
  assert.deepEqual(states, ['live']);
  assert.equal((await failure(collect(runner.stream(sessionId, { since: 1 })))).code, 'session_renewed');
  // The new life has an event at the old cursor's number, and the client distinguishes them.
  assert.equal((await runner.submit({ sessionId, message: 'say:anew' })).response, 'anew');
  assert.notEqual((await runner.session(sessionId)).epoch, epoch);
  assert.equal((await failure(collect(runner.stream(sessionId, { since: `${epoch}-1` })))).code, 'session_renewed');
});

/** The server is killed, or stopped as an operator does; then it closes its streams itself. */
const ENDS = ['kill', 'end'];

for (const way of ENDS) test(`goes on after the server's ${way}, without a loss or a double`, async () => {
  const runner = runnerOf();
  const sessionId = `ended-by-${way}`;
  const task = await runner.start({ sessionId, message: 'slow:60' });
  // A synchronous caller waits behind that task, across the same fault.
  const waiting = runner.submit({ sessionId, message: 'say:still here' });
  const events = [];
  const states = [];
  let again;
  for await (const event of task.events({ onState: (state) => states.push(state) })) {
    events.push(event);
    if (!again && events.filter(({ type }) => type === 'text').length === 10) {
      await holder.server[way]();
      again = holder.server.up();
    }
  }
  await again;
  assert.equal(events.at(-1).type, 'task_complete');
  assert.match(events.at(-1).response, /w59/);
  assert.deepEqual(events, (await exported(holder.server, sessionId)).filter(({ taskId }) => taskId === task.id));
  assert.deepEqual([states[0], states[1], states.at(-1)], ['live', 'lost', 'live']);
  assert.equal((await waiting).response, 'still here');
  assert.equal((await runner.tasks({ sessionId })).length, 2);
});

test('errors have a code, signals end everything, and a server that is away is not waited for without end', async () => {
  const stranger = runnerOf({ key: 'wrong' });
  const refused = [
    () => stranger.submit({ sessionId: 's', message: 'say:no' }),
    () => stranger.sessions(),
    () => collect(stranger.stream('s', { since: 0 })),
  ];
  for (const call of refused) {
    const error = await failure(call());
    assert.deepEqual([error.status, error.code, error.retryable], [401, 'unauthorized', false]);
  }
  const invalid = await failure(runnerOf().submit({ sessionId: 's', message: 'say:no', maxTurns: 0 }));
  assert.deepEqual([invalid.status, invalid.code], [400, 'invalid_request']);
  assert.match(invalid.message, /maxTurns/);

  for (const call of [
    (signal) => collect(runnerOf().stream('nobody', { signal })),
    (signal) => runnerOf().submit({ sessionId: 'signal', message: 'wait:20000' }, { signal }),
  ]) {
    const stop = new AbortController();
    const ended = call(stop.signal);
    setTimeout(() => stop.abort(new Error('enough')), 50);
    await assert.rejects(ended, { message: 'enough' });
  }

  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => probe.once('listening', done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  const away = runnerOf({ url: `http://127.0.0.1:${port}`, retries: { tries: 2, firstWait: 5 } });
  assert.equal((await failure(away.sessions())).code, 'unreachable');
  assert.equal((await failure(collect(away.stream('s', { since: 0 })))).code, 'unreachable');
});

async function collect(events) {
  const all = [];
  for await (const event of events) all.push(event);
  return all;
}
