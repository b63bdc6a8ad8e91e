// A connection over a WebSocket, opened with a ticket.
import { RunnerError } from './error.js';
import { part } from './http.js';
import { Cut, type EventCursor, type Frame } from './stream.js';

/** The credential that opens one stream: a ticket, or the two subprotocols that carry it. */
export type TicketAnswer = string | { ticket: string } | { protocols: string[] };
/** Fetches a ticket. A page fetches it from its own backend, which has the API key. */
export type GetTicket = (sessionId: string, signal: AbortSignal) => Promise<TicketAnswer>;

const DELETED = 1000;
const REVOKED = 4001;
/** The maximum number of buffered frames; a browser has no back-pressure on a WebSocket. At the limit the stream closes, and reopens once all are consumed. */
const MAX_WAITING = 10_000;
/** A ticket lives for 30 seconds. */
const OPEN_MS = 30_000;

export async function* webSocket(url: string, getTicket: GetTicket, session: string, since: EventCursor, signal: AbortSignal): AsyncGenerator<Frame> {
  const protocols = protocolsOf(await getTicket(session, signal));
  signal.throwIfAborted();
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/stream/${part(session)}?since=${since}`, protocols);
  const waiting: Frame[] = [];
  let end: Error | 'deleted' | undefined;
  let wake = () => {};
  const finish = (reason: Error | 'deleted') => {
    end ??= reason;
    wake();
    socket.close();
  };
  const stop = () => finish(new Cut('aborted'));
  signal.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(() => finish(new Cut('the stream did not open')), OPEN_MS);
  socket.onmessage = ({ data }) => {
    if (end) return;
    clearTimeout(timer);
    try {
      waiting.push(JSON.parse(String(data)) as Frame);
    } catch {
      return finish(new Cut('a frame is not JSON'));
    }
    if (waiting.length >= MAX_WAITING) finish(new Cut('the reader is slower than the stream', false));
    wake();
  };
  socket.onclose = ({ code, reason }) => finish(closed(code, reason));
  try {
    for (;;) {
      const frame = waiting.shift();
      if (frame) {
        yield frame;
      } else if (end) {
        if (signal.aborted) throw signal.reason;
        if (end === 'deleted') return;
        throw end;
      } else {
        await new Promise<void>((done) => (wake = done));
      }
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    socket.onmessage = socket.onclose = null;
    socket.close();
  }
}

/** The end that a close code means. All others, such as 1001 and 1012 (server stops), 4008 (too slow) and 1006 (network), reconnect with the last `seq`. */
function closed(code: number, reason: string): Error | 'deleted' {
  if (code === DELETED) return 'deleted';
  if (code === REVOKED) return new RunnerError(reason || 'the API key is not valid any more', { status: 401, code: 'unauthorized' });
  return new Cut(`closed with ${code}${reason && `, ${reason}`}`);
}

function protocolsOf(answer: TicketAnswer): string[] {
  if (typeof answer !== 'string' && 'protocols' in answer) return answer.protocols;
  return ['claude-runner', `ticket.${typeof answer === 'string' ? answer : answer.ticket}`];
}
