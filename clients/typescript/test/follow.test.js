// Tests that need no server: the order of events over connections that end at any point.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../dist/backoff.js';
import { RunnerError } from '../dist/error.js';
import { Cut, follow } from '../dist/stream.js';

const event = (seq, type = 'text') => ({ type, seq });
const connected = (seq) => ({ type: 'connected', seq });

/** Follows from 3 over these connections. Returns the requested cursors, the events, and the error code or `end`. */
const over = (...connections) => overFrom(3, ...connections);

async function overFrom(begin, ...connections) {
  const asked = [];
  const got = [];
  const connect = async function* (since) {
    asked.push(since);
    const frames = connections.shift() ?? [new RunnerError('no more', { code: 'no_more' })];
    for (const frame of frames) {
      if (frame instanceof Error) throw frame;
      yield frame;
    }
  };
  let ended = 'end';
  try {
    for await (const { type, seq } of follow(connect, begin, { tries: 3, firstWait: 0 }, {})) got.push(type === 'text' ? seq : type);
  } catch (error) {
    ended = error.code;
  }
  return { asked, got, ended };
}

test('a cut is followed by what comes after the last event, once', async () => {
  const cut = new Cut('closed with 4008');
  assert.deepEqual(await over([connected(9), event(4), event(5), event(5), cut], [connected(9), event(6), cut], [event(7, 'session_deleted')]), {
    asked: [3, 5, 6], got: [4, 5, 6, 'session_deleted'], ended: 'end',
  });
});

test('what is missing is asked for again, and once more of it is an error; a gap that the server tells of is none', async () => {
  assert.deepEqual(await over([event(4), event(6)], [event(5), event(6), event(8)], [event(8)]), {
    asked: [3, 4, 6], got: [4, 5, 6], ended: 'events_missing',
  });
  assert.deepEqual((await over([{ type: 'gap', from: 4, to: 20 }, event(21)])).got, ['gap', 21]);
});

test('a renewed session is reported', async () => {
  assert.equal((await over([connected(1)])).ended, 'session_renewed');
  assert.equal((await over([event(2)])).ended, 'session_renewed');
});

test('a cursor is of one life of its session', async () => {
  const [first, second] = ['0000000000000001', '0000000000000002'];
  const opened = (epoch) => ({ type: 'connected', epoch });
  const gap = { type: 'gap', from: 1, to: 0, reason: 'renewed', epoch: second };
  const cut = new Cut('closed with 1006');
  // A plain number refers to the current life of the session. The first connection binds it to that life.
  assert.deepEqual(await over([opened(first), event(4), cut], [opened(second), event(5)]), {
    asked: [3, `${first}-4`], got: [4], ended: 'session_renewed',
  });
  assert.deepEqual((await over([opened(first), event(4), cut], [gap, event(1)])).ended, 'session_renewed');
  // A reader that has received nothing has lost nothing.
  assert.deepEqual(await overFrom(0, [opened(first), cut], [opened(second), event(1), cut], [event(2, 'session_deleted')]), {
    asked: [0, 0, `${second}-1`], got: [1, 'session_deleted'], ended: 'end',
  });
  assert.equal((await overFrom(`${first}-0`, [opened(second), event(1)])).ended, 'session_renewed');
});

test('it gives up after so many cuts without an event between them', async () => {
  const cut = () => [new Cut('closed with 1006')];
  assert.deepEqual(await over(cut(), cut(), [event(4), ...cut()], cut(), cut(), cut()), {
    asked: [3, 3, 3, 4, 4, 4], got: [4], ended: 'stream_lost',
  });
  assert.equal((await over([new RunnerError('gone', { status: 401, code: 'unauthorized' })])).ended, 'unauthorized');
});

test('waits grow to a bound, and a server that asks for more gets it', async (t) => {
  const waits = [];
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (call, wait) => (waits.push(wait), real(call, 0));
  t.after(() => (globalThis.setTimeout = real));
  const backoff = new Backoff({ tries: 6, firstWait: 1000, longestWait: 4000 });
  const wait = (asked) => backoff.after(new Error('x'), asked, undefined);
  for (let i = 0; i < 5; i++) await wait();
  await wait(30_000);
  const bounds = [[500, 1000], [1000, 2000], [2000, 4000], [2000, 4000], [2000, 4000], [30_000, 30_000]];
  bounds.forEach(([low, high], i) => assert.ok(low <= waits[i] && waits[i] <= high, `${waits}`));
  await assert.rejects(wait(), { message: 'x' });
  backoff.reset();
  await assert.rejects(wait(61_000), { message: 'x' });
});
