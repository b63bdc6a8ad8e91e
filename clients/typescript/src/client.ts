import { RunnerError } from './error.js';
import { type Call, Http, type HttpOptions, part, query } from './http.js';
import { serverSent } from './lines.js';
import { type GetTicket, webSocket } from './socket.js';
import { type Connect, type EventCursor, type StreamOptions, follow } from './stream.js';
import { Task } from './task.js';
import type { Aborted, Accepted, Agent, Answer, ListTasks, RepositoryTask, RunnerEvent, Session, SessionTask, TaskRecord, Ticket, UsageQuery, UsageReport } from './types.js';

export interface ClaudeRunnerOptions extends HttpOptions {
  /** Fetches a ticket for a stream. A page has no key and fetches it from its own backend. Default: requests it with the key. */
  ticket?: GetTicket | undefined;
  /** Default: WebSockets in browsers, plain HTTP elsewhere. */
  transport?: 'websocket' | 'http' | undefined;
}

export interface RequestOptions {
  signal?: AbortSignal | undefined;
}

export interface SubmitOptions extends RequestOptions {
  /** Requests with the same key create one task. Default: a new key for each call, so that a retry creates no second task. */
  idempotencyKey?: string | undefined;
}

/** A Claude Runner server. Every call takes an `AbortSignal` and throws a `RunnerError` on failure. */
export class ClaudeRunner {
  private readonly http: Http;
  private readonly connect: (session: string) => Connect;

  constructor(options: ClaudeRunnerOptions) {
    this.http = new Http(options);
    const transport = options.transport ?? (typeof document === 'undefined' ? 'http' : 'websocket');
    const getTicket: GetTicket = options.ticket ?? ((session, signal) => this.ticket(session, { signal }));
    this.connect = (session) => (since, signal) =>
      transport === 'http' ? serverSent(this.http, session, since, signal) : webSocket(this.http.url, getTicket, session, since, signal);
  }

  /**
   * Sends a message and waits for the answer, also while a person decides about a call. After a restart of the server, it repeats the
   * request for the same task.
   */
  async submit(task: SessionTask, options: SubmitOptions = {}): Promise<Answer> {
    const answer = await this.post<Answer & { waiting?: boolean }>('/task', task, options);
    if (!answer.waiting) return answer;
    // The server answers at once when a task begins to wait for a person.
    return new Task(this, answer.taskId, answer.sessionId).result(options.signal ? { signal: options.signal } : {});
  }

  /** Submits a message or a repository task and returns without waiting for the answer. */
  async start(task: SessionTask | RepositoryTask, options: SubmitOptions = {}): Promise<Task> {
    const accepted = await this.post<Accepted>('/task', task, options, { prefer: 'respond-async' });
    return new Task(this, accepted.taskId, accepted.sessionId);
  }

  /** Yields a session's events after `since`, or from now on. Reconnects after every interruption; ends when the session is deleted. */
  async *stream(sessionId: string, options: StreamOptions = {}): AsyncGenerator<RunnerEvent, void> {
    const since = options.since ?? (await this.latest(sessionId, options.signal));
    yield* follow(this.connect(sessionId), since, this.http.retries, options);
  }

  /** Aborts one task, or every running and queued task of a session. */
  abort(id: string, { mode, signal }: RequestOptions & { mode?: 'kill' | 'interrupt' | undefined } = {}): Promise<Aborted> {
    return this.http.json('POST', `/task/${part(id)}/abort${query({ mode })}`, { signal, repeatable: true });
  }

  /** Returns a handle for an existing task id. */
  async attach(taskId: string, options: RequestOptions = {}): Promise<Task> {
    return new Task(this, taskId, (await this.task(taskId, options)).sessionId);
  }

  task(id: string, { signal }: RequestOptions = {}): Promise<TaskRecord> {
    return this.http.json('GET', `/task/${part(id)}`, { signal });
  }

  /** Submits the task again as a new task. */
  async retry(id: string, { signal }: RequestOptions = {}): Promise<Task> {
    const accepted = await this.http.json<Accepted>('POST', `/task/${part(id)}/retry`, { signal });
    return new Task(this, accepted.taskId, accepted.sessionId);
  }

  /** Returns a page of tasks, newest first. */
  tasks(filter: ListTasks & RequestOptions = {}): Promise<TaskRecord[]> {
    const { signal, ...parameters } = filter;
    return this.http.json('GET', `/tasks${query(parameters)}`, { signal });
  }

  sessions({ signal }: RequestOptions = {}): Promise<Session[]> {
    return this.http.json('GET', '/sessions', { signal });
  }

  session(id: string, { signal }: RequestOptions = {}): Promise<Session> {
    return this.http.json('GET', `/session/${part(id)}`, { signal });
  }

  /** Restores the template's files and forgets the conversation. */
  resetSession(id: string, { signal }: RequestOptions = {}): Promise<{ sessionId: string; reset: boolean }> {
    return this.http.json('POST', `/session/${part(id)}/reset`, { signal, repeatable: true });
  }

  deleteSession(id: string, { signal }: RequestOptions = {}): Promise<{ deleted: string }> {
    return this.http.json('DELETE', `/session/${part(id)}`, { signal, repeatable: true });
  }

  /** Issues a ticket with which a page opens the stream once. `origin` is the page's. */
  ticket(sessionId: string, { origin, signal }: RequestOptions & { origin?: string | undefined } = {}): Promise<Ticket> {
    const call: Call = { signal, repeatable: true, ...(origin === undefined ? {} : { body: { origin } }) };
    return this.http.json('POST', `/session/${part(sessionId)}/ticket`, call);
  }

  usage(filter: UsageQuery & RequestOptions = {}): Promise<UsageReport> {
    const { signal, ...parameters } = filter;
    return this.http.json('GET', `/usage${query(parameters)}`, { signal });
  }

  agents({ signal }: RequestOptions = {}): Promise<Agent[]> {
    return this.http.json('GET', '/agents', { signal });
  }

  /** The `seq` of a task's first stored event; `undefined` if retention has removed its events. */
  async firstEvent(taskId: string, signal?: AbortSignal): Promise<number | undefined> {
    return (await this.first(taskId, signal))[0]?.seq;
  }

  /** The position before a task's first stored event; `undefined` if retention has removed its events. */
  async beforeTask(taskId: string, signal?: AbortSignal): Promise<EventCursor | undefined> {
    const [event, epoch] = await this.first(taskId, signal);
    if (!event) return undefined;
    return epoch === undefined ? event.seq - 1 : `${epoch}-${event.seq - 1}`;
  }

  private first(taskId: string, signal: AbortSignal | undefined) {
    return this.http.firstLine<{ seq: number }>(`/task/${part(taskId)}/logs?format=ndjson`, signal);
  }

  /** The position of the latest event. It is read before the stream opens, so that an early interruption loses no event. */
  private async latest(sessionId: string, signal?: AbortSignal): Promise<EventCursor> {
    try {
      const { epoch, seq } = await this.session(sessionId, { signal });
      return epoch === undefined ? seq : `${epoch}-${seq}`;
    } catch (error) {
      if (error instanceof RunnerError && error.code === 'session_not_found') return 0;
      throw error;
    }
  }

  private post<T>(path: string, body: object, options: SubmitOptions, more: Record<string, string> = {}): Promise<T> {
    const headers = { 'idempotency-key': options.idempotencyKey ?? uuid(), ...more };
    return this.http.json('POST', path, { body, headers, signal: options.signal, repeatable: true });
  }
}

/** A random id. Pages without TLS do not have `crypto.randomUUID`. */
function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
