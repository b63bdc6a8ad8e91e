// A connection over plain HTTP. It reads server-sent events with fetch, because `EventSource` cannot send a key.
import { EPOCH, type Http, part } from './http.js';
import { Cut, type EventCursor, type Frame } from './stream.js';

/** The server sends a comment every 15 seconds. After three missing ones the connection counts as dead, even if TCP still holds it. */
const SILENCE_MS = 50_000;
/** Far above the largest event, which is 256 KiB of escaped input. */
const MAX_EVENT_CHARACTERS = 16 * 1024 * 1024;

export async function* serverSent(http: Http, session: string, since: EventCursor, signal: AbortSignal): AsyncGenerator<Frame> {
  const own = new AbortController();
  const stop = () => own.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  let timer = setTimeout(() => own.abort(), SILENCE_MS);
  try {
    const path = `/session/${part(session)}/events?since=${since}`;
    const answer = await http.once('GET', path, { headers: { accept: 'text/event-stream' }, signal: own.signal });
    if (!answer.body) throw new Cut('the answer has no body');
    yield { type: 'connected', epoch: answer.headers.get(EPOCH) ?? undefined };
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for (;;) {
        const { done, value } = await reader.read();
        // A deleted session sends `session_deleted` first, so here the server has stopped.
        if (done) throw new Cut('the server ended the stream');
        clearTimeout(timer);
        timer = setTimeout(() => own.abort(), SILENCE_MS);
        rest += decoder.decode(value, { stream: true });
        const blocks = rest.split('\n\n');
        rest = blocks.pop() ?? '';
        if (rest.length > MAX_EVENT_CHARACTERS) throw new Cut('an event is too large');
        for (const block of blocks) {
          const data = block.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart());
          if (data.length) yield JSON.parse(data.join('\n')) as Frame;
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (own.signal.aborted) throw new Cut('the server sent nothing for 50 seconds');
    if (error instanceof TypeError || error instanceof SyntaxError) throw new Cut(error.message);
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    own.abort();
  }
}
