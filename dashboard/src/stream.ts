// A session's events over a WebSocket. A ticket opens it; after every interruption it reconnects with the cursor of the last event.
import { Problem, id, locked, send } from './api';
import { pause } from './live';
import type { Connected, RunnerEvent, Ticket } from './types';

export type StreamState = 'connecting' | 'live' | 'lost' | 'ended';

export interface Subscriber {
  events(batch: RunnerEvent[]): void;
  state(state: StreamState): void;
}

const MAX_WAIT_MS = 3000;
/** Not a real close code. It means that the session was deleted and created again. */
const RENEWED = 0;
/** The codes after which no reconnect can succeed: the session was deleted or the key revoked. */
const FINAL = new Set([RENEWED, 1000, 4001]);

/** Follows one life of a session. `epoch` is the life of `since`; undefined means the current one. */
export function subscribe(session: string, epoch: string | undefined, since: number, subscriber: Subscriber): () => void {
  const stop = new AbortController();
  void run(session, epoch, since, subscriber, stop.signal);
  return () => stop.abort();
}

async function run(session: string, epoch: string | undefined, since: number, subscriber: Subscriber, signal: AbortSignal): Promise<void> {
  let [last, wait, lost] = [since, 200, false];
  let waiting: RunnerEvent[] = [];
  let scheduled = false;
  const deliver = () => {
    scheduled = false;
    const batch = waiting;
    waiting = [];
    if (batch.length && !signal.aborted) subscriber.events(batch);
  };
  while (!signal.aborted) {
    subscriber.state(lost ? 'lost' : 'connecting');
    try {
      const { protocols } = await send<Ticket>('POST', `/session/${id(session)}/ticket`);
      if (signal.aborted) return;
      const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/stream/${id(session)}?since=${epoch === undefined ? last : `${epoch}-${last}`}`, protocols);
      signal.addEventListener('abort', () => socket.close(), { once: true });
      const code = await new Promise<number>((done) => {
        socket.onmessage = ({ data }) => {
          const event = JSON.parse(data as string) as RunnerEvent | Connected;
          if (event.type === 'connected') {
            epoch ??= event.epoch;
            subscriber.state('live');
            [lost, wait] = [false, 200];
            return;
          }
          // The session was deleted, and the name belongs to a new one.
          if (event.type === 'gap' && event.reason === 'renewed') return done(RENEWED);
          if ('seq' in event) last = event.seq;
          waiting.push(event);
          // Deliver the events of two frames together, so that a fast agent does not slow the page. Timers run in hidden tabs too.
          if (!scheduled) {
            scheduled = true;
            setTimeout(deliver, 32);
          }
        };
        socket.onclose = ({ code }) => done(code);
      });
      if (code === RENEWED) {
        socket.onmessage = null;
        socket.close();
      }
      deliver();
      // The page closed the stream itself.
      if (signal.aborted) return;
      if (code === 4001) locked.value = true;
      if (FINAL.has(code)) return subscriber.state('ended');
    } catch (error) {
      if (error instanceof Problem && [401, 403, 404].includes(error.status)) return subscriber.state('ended');
    }
    if (signal.aborted) return;
    lost = true;
    subscriber.state('lost');
    await pause(wait, signal);
    wait = Math.min(wait * 2, MAX_WAIT_MS);
  }
}
