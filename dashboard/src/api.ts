// Requests to the server of this page, with the key of the signed-in user.
import { signal } from '@preact/signals';
import type { Problem as ProblemBody } from './types';

const NAME = 'claude-runner.key';

/** The API key; `null` without one. */
export const key = signal<string | null>(sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME));
/** True while the server requires a key and the page has no valid one. */
export const locked = signal(false);

export function signIn(value: string, remember: boolean): void {
  signOut();
  (remember ? localStorage : sessionStorage).setItem(NAME, value);
  key.value = value;
  locked.value = false;
}

export function signOut(): void {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
  key.value = null;
}

/** The error of a request: the server's problem+json, or a missing answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    sentence: string,
    readonly retryAfter?: number,
  ) {
    super(sentence);
  }

  /** The name of the field at the start of the sentence, as in `maxTurns: it must be …`. */
  get field(): string | null {
    return /^([A-Za-z]\w*)(?::| is missing| required)/.exec(this.message)?.[1] ?? null;
  }
}

export interface Request {
  method?: string;
  body?: unknown;
  accept?: string;
  signal?: AbortSignal;
}

/** Returns a successful answer. Throws a `Problem` otherwise. */
export async function call(path: string, request: Request = {}, withKey: string | null = key.value): Promise<Response> {
  const headers: Record<string, string> = { accept: request.accept ?? 'application/json' };
  if (withKey) headers['authorization'] = `Bearer ${withKey}`;
  if (request.body !== undefined) headers['content-type'] = 'application/json';
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: request.method ?? 'GET',
      headers,
      body: request.body === undefined ? undefined : JSON.stringify(request.body),
      signal: request.signal,
      cache: 'no-store',
    });
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new Problem(0, 'unreachable', 'The server does not answer. It may be restarting.');
  }
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  // The key is no longer valid, or the server requires one now.
  if (problem.status === 401 && withKey === key.value) locked.value = true;
  throw problem;
}

async function problemOf(answer: Response): Promise<Problem> {
  const retryAfter = Number(answer.headers.get('retry-after')) || undefined;
  try {
    // A proxy in front of the server may answer in its place.
    const body = (await answer.json()) as Partial<ProblemBody>;
    const sentence = body.error ?? body.detail ?? `The server answered ${answer.status}.`;
    return new Problem(answer.status, body.code ?? 'unknown', sentence, retryAfter);
  } catch {
    return new Problem(answer.status, 'unknown', `The server answered ${answer.status}.`, retryAfter);
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await call(path, { signal })).json()) as T;
}

/** Returns the address of the next page; `null` on the last page. */
export function nextPage(answer: Response): string | null {
  return /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1] ?? null;
}

/** Returns all rows of a list. The server ends a page before 4 MiB, regardless of `limit`. */
export async function all<T>(path: string): Promise<T[]> {
  const rows: T[] = [];
  for (let next: string | null = path; next; ) {
    const answer: Response = await call(next);
    rows.push(...((await answer.json()) as T[]));
    next = nextPage(answer);
  }
  return rows;
}

export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await call(path, { method, body });
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** Yields lines of JSON as they arrive. `onHeaders` is called with the headers before the first line. */
export async function* lines<T>(path: string, signal?: AbortSignal, onHeaders?: (headers: Headers) => void): AsyncGenerator<T[]> {
  const answer = await call(path, { accept: 'application/x-ndjson', signal });
  onHeaders?.(answer.headers);
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    rest += value;
    const parts = rest.split('\n');
    rest = parts.pop() ?? '';
    const batch = parts.filter(Boolean).map((line) => JSON.parse(line) as T);
    if (batch.length) yield batch;
  }
}

/** Saves the answer of a route as a file. A plain link cannot send the key. */
export async function download(path: string, name: string): Promise<void> {
  const address = URL.createObjectURL(await (await call(path, { accept: '*/*' })).blob());
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export const id = encodeURIComponent;

/** Quotes `text` as one word of a POSIX shell. */
export function quoted(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Returns a request as a curl command. It omits the key, because people paste copied commands into chats. */
export function curl(path: string, method = 'GET', body?: unknown): string {
  const parts = ['curl'];
  if (method !== 'GET' && body === undefined) parts.push('-X', method);
  parts.push(quoted(location.origin + path));
  if (key.value) parts.push('-H', '"authorization: Bearer $CLAUDE_RUNNER_KEY"');
  if (body !== undefined) parts.push('-H', "'content-type: application/json'", '-d', quoted(JSON.stringify(body)));
  return parts.join(' ');
}
