// A session's events without loss and without doubles, over connections that end.
import { Backoff, type Retries } from './backoff.js';
import { RunnerError } from './error.js';
import type { Connected, RunnerEvent } from './types.js';

/** The begin of a connection. Plain HTTP tells no number, and an older server no epoch. */
export type Opened = { type: 'connected'; epoch?: string | undefined; seq?: Connected['seq'] | undefined };
/** What a connection gives. */
export type Frame = Opened | RunnerEvent;

/** A position in a session's events: `EPOCH-SEQ`, or `SEQ` of whichever life the session is in. */
export type EventCursor = number | string;

/**
 * One connection, to what comes after `since`. It returns when the stream is over (the session was deleted) and throws where it
 * was cut.
 */
export type Connect = (since: EventCursor, signal: AbortSignal) => AsyncIterable<Frame>;

export interface StreamOptions {
  /** The last event seen, as `EPOCH-SEQ` or `SEQ`, 0 for all. Default: what happens from now on. */
  since?: EventCursor | undefined;
  signal?: AbortSignal | undefined;
  /** Told of each connection that is up, and of each that was lost. */
  onState?: ((state: StreamState) => void) | undefined;
}

export type StreamState = 'live' | 'lost';

/** Thrown by a connection that was cut. Without `pause` it was for a reason of the client's own, and it may connect at once. */
export class Cut extends Error {
  constructor(
    message: string,
    readonly pause: boolean = true,
  ) {
    super(message);
  }
}

/** Follows a session from `since` on, connecting anew after each cut. Ends when the session is deleted. */
export async function* follow(connect: Connect, since: EventCursor, retries: Retries, options: StreamOptions): AsyncGenerator<RunnerEvent, void> {
  const { signal, onState } = options;
  const backoff = new Backoff(retries);
  let [epoch, last] = positionOf(since);
  /** The reader is in this life of the session: it named it, or has events of it. */
  let isBound = epoch !== undefined || last > 0;
  /** What was missing when it was noticed: once more of the same is no accident. */
  let missing: number | undefined;
  for (;;) {
    signal?.throwIfAborted();
    // Ends the connection also where whoever iterates leaves the loop.
    const connection = new AbortController();
    const stop = () => connection.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    let [isLive, isFresh] = [false, true];
    try {
      const cursor = isBound && epoch !== undefined ? `${epoch}-${last}` : last;
      for await (const frame of connect(cursor, connection.signal)) {
        if (!isLive) onState?.('live');
        isLive = true;
        if (frame.type === 'connected') {
          const isOther = frame.epoch !== undefined && epoch !== undefined && frame.epoch !== epoch;
          if (isBound && (isOther || (frame.seq !== undefined && frame.seq < last))) throw renewed(last);
          epoch = frame.epoch ?? epoch;
          continue;
        }
        if (frame.type === 'gap') {
          if (frame.reason === 'renewed') {
            if (isBound) throw renewed(last);
            continue;
          }
          last = Math.max(last, frame.to);
          backoff.reset();
          yield frame;
          continue;
        }
        if (frame.seq <= last) {
          // The server sends what comes after `last`, so numbers began anew; later on it is a frame that came twice.
          if (isFresh) throw renewed(last);
          continue;
        }
        isFresh = false;
        if (frame.seq > last + 1) {
          if (missing === last + 1) {
            throw new RunnerError(`the events from ${last + 1} to ${frame.seq - 1} do not come`, { code: 'events_missing' });
          }
          missing = last + 1;
          throw new Cut(`event ${frame.seq} came after ${last}`);
        }
        [last, isBound] = [frame.seq, true];
        backoff.reset();
        yield frame;
        if (frame.type === 'session_deleted') return;
      }
      return;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const isCut = error instanceof Cut || (error instanceof RunnerError && error.retryable);
      if (!isCut) throw error;
      onState?.('lost');
      if (error instanceof Cut && !error.pause) continue;
      const lost = error instanceof RunnerError ? error : streamLost(last, error);
      await backoff.after(lost, lost.retryAfter, signal);
    } finally {
      signal?.removeEventListener('abort', stop);
      connection.abort();
    }
  }
}

function positionOf(since: EventCursor): [epoch: string | undefined, seq: number] {
  const [, epoch, seq] = /^(?:([0-9a-f]{16})-)?(\d+)$/.exec(String(since)) ?? [];
  if (seq === undefined) throw new TypeError(`since must be EPOCH-SEQ or SEQ, not ${since}`);
  return [epoch, Number(seq)];
}

/** There is no event `last` in the session that has its name now. */
export function renewed(last: number): RunnerError {
  return new RunnerError(`the session of event ${last} was deleted: what has its name now is followed with since 0`, { code: 'session_renewed' });
}

function streamLost(last: number, cause: Error): RunnerError {
  return new RunnerError(`the stream was lost after event ${last}: ${cause.message}`, { code: 'stream_lost', retryable: true, cause });
}
