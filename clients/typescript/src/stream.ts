// A session's events, each exactly once and in order, over connections that may end.
import { Backoff, type Retries } from './backoff.js';
import { RunnerError } from './error.js';
import type { Connected, RunnerEvent } from './types.js';

/** The first frame. Plain HTTP has no `seq`, older servers no epoch. */
export type Opened = { type: 'connected'; epoch?: string | undefined; seq?: Connected['seq'] | undefined };
/** The output of a connection. */
export type Frame = Opened | RunnerEvent;

/** A position in a session's events: `EPOCH-SEQ`, or `SEQ` in the current life of the session. */
export type EventCursor = number | string;

/**
 * Opens one connection to the events after `since`. It returns when the session was deleted, and throws when the connection was
 * interrupted.
 */
export type Connect = (since: EventCursor, signal: AbortSignal) => AsyncIterable<Frame>;

export interface StreamOptions {
  /** The last event seen, as `EPOCH-SEQ` or `SEQ`; 0 for all. Default: only new events. */
  since?: EventCursor | undefined;
  signal?: AbortSignal | undefined;
  /** Called with `live` or `lost` when the connection changes. */
  onState?: ((state: StreamState) => void) | undefined;
}

export type StreamState = 'live' | 'lost';

/** Thrown by an interrupted connection. If `pause` is false, the client interrupted it and reconnects at once. */
export class Cut extends Error {
  constructor(
    message: string,
    readonly pause: boolean = true,
  ) {
    super(message);
  }
}

/** Follows a session from `since` on. Reconnects after every interruption; ends when the session is deleted. */
export async function* follow(connect: Connect, since: EventCursor, retries: Retries, options: StreamOptions): AsyncGenerator<RunnerEvent, void> {
  const { signal, onState } = options;
  const backoff = new Backoff(retries);
  let [epoch, last] = positionOf(since);
  /** True if the caller named this life of the session or has received events of it. */
  let isBound = epoch !== undefined || last > 0;
  /** The first missing event at the last reconnect. If it is missing again, the stream fails. */
  let missing: number | undefined;
  for (;;) {
    signal?.throwIfAborted();
    // Ends the connection also if the caller leaves its loop.
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
          // The first frame has a number above `last` unless the session was renewed. A later such frame is a duplicate.
          if (isFresh) throw renewed(last);
          continue;
        }
        isFresh = false;
        if (frame.seq > last + 1) {
          if (missing === last + 1) {
            throw new RunnerError(`the events from ${last + 1} to ${frame.seq - 1} are missing`, { code: 'events_missing' });
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

/** The session was deleted and created again, so the new one has no event `last`. */
export function renewed(last: number): RunnerError {
  return new RunnerError(`the session of event ${last} was deleted; follow the new session of that name with since 0`, { code: 'session_renewed' });
}

function streamLost(last: number, cause: Error): RunnerError {
  return new RunnerError(`the stream was lost after event ${last}: ${cause.message}`, { code: 'stream_lost', retryable: true, cause });
}
