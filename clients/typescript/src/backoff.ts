/** Waits between tries: doubling, with jitter, up to a bound, and no more than `tries` without success between them. */
export interface Retries {
  /** How often something is tried again before its error is thrown. Default 12: with the waits below about 40 seconds. */
  tries?: number;
  /** Milliseconds before the first, doubled from one to the next. Default 200. */
  firstWait?: number;
  /** No wait is longer, except where the server asks for it. Default 5000. */
  longestWait?: number;
}

/** A server that asks for more than this is not waited for. */
const LONGEST_ASKED_MS = 60_000;

export class Backoff {
  private tried = 0;
  private readonly options: Required<Retries>;

  constructor(options: Retries = {}) {
    this.options = { tries: options.tries ?? 12, firstWait: options.firstWait ?? 200, longestWait: options.longestWait ?? 5000 };
  }

  /** Something succeeded: what comes next begins anew. */
  reset(): void {
    this.tried = 0;
  }

  /** Waits, or throws the error where it was tried often enough. */
  async after(error: unknown, askedFor: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    if (this.tried >= this.options.tries || (askedFor ?? 0) > LONGEST_ASKED_MS) throw error;
    const wait = Math.min(this.options.firstWait * 2 ** this.tried, this.options.longestWait);
    this.tried += 1;
    // Half of it is chance, so that many clients that were cut at once do not come back at once.
    await pause(Math.max(wait / 2 + Math.random() * (wait / 2), askedFor ?? 0), signal);
  }
}

/** Resolves after so many milliseconds, rejects when the signal aborts. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      fail(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      done();
    }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
