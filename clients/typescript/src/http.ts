import { Backoff, type Retries } from './backoff.js';
import { RunnerError, errorOf } from './error.js';

/** The header with the epoch of the events in an answer. */
export const EPOCH = 'session-epoch';

/** A request that fails after a longer time had been accepted, so it resets the retries. */
const LONG_ANSWER_MS = 60_000;

export interface HttpOptions {
  /** The server's base URL, as in `https://runner.example.com`. */
  url: string;
  /** An API key. Never give one to a page; a page uses tickets. */
  key?: string | undefined;
  fetch?: typeof fetch | undefined;
  retries?: Retries | undefined;
}

export interface Call {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** The request is idempotent, so it may be sent twice. Default for GET. */
  repeatable?: boolean;
}

/** Sends requests with the key, and retries idempotent ones after errors that may be temporary. */
export class Http {
  readonly url: string;
  readonly retries: Retries;
  private readonly key: string | undefined;
  private readonly fetch: typeof fetch;

  constructor(options: HttpOptions) {
    this.url = options.url.replace(/\/+$/, '');
    this.key = options.key;
    this.retries = options.retries ?? {};
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Returns the answer's JSON. */
  json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    return this.retrying(call.repeatable ?? method === 'GET', call.signal, async () => {
      const answer = await this.once(method, path, call);
      return answer.status === 204 ? (undefined as T) : parsed<T>(await bodyOf(answer, call.signal));
    });
  }

  /** Returns the first line of an NDJSON answer, `undefined` if it has none, and the answer's epoch. */
  firstLine<T>(path: string, signal: AbortSignal | undefined): Promise<[line: T | undefined, epoch: string | undefined]> {
    return this.retrying(true, signal, async () => {
      const answer = await this.once('GET', path, { signal });
      const reader = answer.body?.getReader();
      const decoder = new TextDecoder();
      let text = '';
      try {
        while (reader && !text.includes('\n')) {
          const { done, value } = await reader.read();
          if (done) break;
          text += decoder.decode(value, { stream: true });
        }
      } catch (cause) {
        throw cut(cause, signal);
      } finally {
        reader?.cancel().catch(() => {});
      }
      const [line] = text.split('\n');
      return [line ? parsed<T>(line) : undefined, answer.headers.get(EPOCH) ?? undefined];
    });
  }

  private async retrying<T>(repeatable: boolean, signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
    const backoff = new Backoff(this.retries);
    for (;;) {
      const began = Date.now();
      try {
        return await attempt();
      } catch (error) {
        // A long task can outlive its connection. Such a failure is not a repeated one.
        if (Date.now() - began > LONG_ANSWER_MS) backoff.reset();
        if (signal?.aborted || !(error instanceof RunnerError) || !repeatable || !maySucceedLater(error)) throw error;
        await backoff.after(error, error.retryAfter, signal);
      }
    }
  }

  /** Sends one request without retries. Returns a successful answer whose body is not read yet. */
  async once(method: string, path: string, call: Call = {}): Promise<Response> {
    const headers: Record<string, string> = { accept: 'application/json', ...call.headers };
    if (this.key) headers['authorization'] = `Bearer ${this.key}`;
    if (call.body !== undefined) headers['content-type'] = 'application/json';
    let answer: Response;
    try {
      answer = await this.fetch(this.url + path, {
        method,
        headers,
        cache: 'no-store',
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...(call.signal ? { signal: call.signal } : {}),
      });
    } catch (cause) {
      if (call.signal?.aborted) throw call.signal.reason;
      throw new RunnerError(`the server at ${this.url} does not answer`, { code: 'unreachable', retryable: true, cause });
    }
    if (!answer.ok) throw await errorOf(answer);
    return answer;
  }
}

async function bodyOf(answer: Response, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await answer.text();
  } catch (cause) {
    throw cut(cause, signal);
  }
}

function parsed<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw cut(cause);
  }
}

function cut(cause: unknown, signal?: AbortSignal): unknown {
  return signal?.aborted ? signal.reason : new RunnerError('the answer was cut', { code: 'cut', retryable: true, cause });
}

/** A failed task is final; repeating the request returns the same failure. */
export function maySucceedLater(error: RunnerError): boolean {
  return error.retryable && error.errorType === undefined;
}

/** Escapes one segment of a path. */
export const part = encodeURIComponent;

export function query(parameters: Record<string, unknown>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}
