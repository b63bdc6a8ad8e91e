/** Retries with exponential backoff and jitter. */
export interface Retries {
  /** Maximum number of retries. Default 12, which takes about 40 seconds with the delays below. */
  tries?: number;
  /** First delay in ms; it doubles with each retry. Default 200. */
  firstWait?: number;
  /** Maximum delay in ms. Only a `Retry-After` of the server exceeds it. Default 5000. */
  longestWait?: number;
}

/** A longer `Retry-After` ends the retries. */
const LONGEST_ASKED_MS = 60_000;

export class Backoff {
  private tried = 0;
  private readonly options: Required<Retries>;

  constructor(options: Retries = {}) {
    this.options = { tries: options.tries ?? 12, firstWait: options.firstWait ?? 200, longestWait: options.longestWait ?? 5000 };
  }

  /** Resets the delay after a success. */
  reset(): void {
    this.tried = 0;
  }

  /** Waits before the next retry. Throws `error` if no retry is left. */
  async after(error: unknown, askedFor: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    if (this.tried >= this.options.tries || (askedFor ?? 0) > LONGEST_ASKED_MS) throw error;
    const wait = Math.min(this.options.firstWait * 2 ** this.tried, this.options.longestWait);
    this.tried += 1;
    // Half of the delay is random, so that clients that lost their connections together do not reconnect together.
    await pause(Math.max(wait / 2 + Math.random() * (wait / 2), askedFor ?? 0), signal);
  }
}

/** Resolves after `milliseconds`; rejects when the signal aborts. */
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
