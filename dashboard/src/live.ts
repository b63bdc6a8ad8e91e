// All tasks and sessions, kept current by `GET /watch`.
import { batch, signal } from '@preact/signals';
import { Problem, all, call, lines, locked, nextPage } from './api';
import type { Change, Session, Task } from './types';

export type Connection = 'connecting' | 'live' | 'lost';

export const tasks = signal<ReadonlyMap<string, Task>>(new Map());
export const sessions = signal<ReadonlyMap<string, Session>>(new Map());
export const connection = signal<Connection>('connecting');
/** True once the first lists are loaded. */
export const loaded = signal(false);
/** The error that prevents loading the lists, other than a lost connection. */
export const trouble = signal<Problem | null>(null);
/** The address of the next page of older tasks. */
export const older = signal<string | null>(null);
/** The number of reconnects after a lost connection. */
export const returns = signal(0);

const PAGE = 200;
const MAX_WAIT_MS = 5000;

let current: AbortController | null = null;

/** Starts watching, or restarts with another key. */
export function watch(): void {
  current?.abort();
  current = new AbortController();
  batch(() => {
    tasks.value = new Map();
    sessions.value = new Map();
    loaded.value = false;
    connection.value = 'connecting';
  });
  void follow(current.signal);
}

export function stopWatching(): void {
  current?.abort();
  current = null;
}

async function follow(signal: AbortSignal): Promise<void> {
  let wait = 250;
  while (!signal.aborted && !locked.value) {
    try {
      // The stream starts with `reload`, so no change is lost between the lists and the stream.
      for await (const found of lines<Change>('/watch', signal)) {
        if (connection.value === 'lost') returns.value += 1;
        connection.value = 'live';
        wait = 250;
        if (found.some((line) => line.type === 'reload')) await list();
        apply(found);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem) {
        if (error.status === 401) return;
        if (error.status !== 0) trouble.value = error;
      }
    }
    if (signal.aborted) return;
    connection.value = 'lost';
    await pause(wait + Math.random() * 100, signal);
    wait = Math.min(wait * 2, MAX_WAIT_MS);
  }
}

/** Replaces the lists with the newest tasks and all sessions. */
async function list(): Promise<void> {
  const [answer, found] = await Promise.all([call(`/tasks?limit=${PAGE}`), all<Session>('/sessions')]);
  const newest = (await answer.json()) as Task[];
  const next = nextPage(answer);
  // Unfinished tasks may be older than the first page of finished ones.
  const open = next ? await Promise.all(['queued', 'running'].map((status) => all<Task>(`/tasks?limit=500&status=${status}`))) : [];
  batch(() => {
    tasks.value = new Map([...newest, ...open.flat()].map((task) => [task.taskId, task]));
    sessions.value = new Map(found.map((session) => [session.sessionId, session]));
    older.value = next;
    trouble.value = null;
    loaded.value = true;
  });
}

/** Adds the next page of older tasks, or the newest matches of a search. */
export async function more(path: string, isPage: boolean): Promise<void> {
  const answer = await call(path);
  const found = (await answer.json()) as Task[];
  batch(() => {
    tasks.value = new Map([...found.map((task) => [task.taskId, task] as const), ...tasks.value]);
    if (isPage) older.value = nextPage(answer);
  });
}

function apply(found: Change[]): void {
  const [nextTasks, nextSessions] = [new Map(tasks.value), new Map(sessions.value)];
  for (const line of found) {
    switch (line.type) {
      case 'task':
        nextTasks.set(line.task.taskId, line.task);
        break;
      case 'session':
        nextSessions.set(line.session.sessionId, line.session);
        break;
      case 'session_deleted':
        nextSessions.delete(line.sessionId);
        for (const task of nextTasks.values()) if (task.sessionId === line.sessionId) nextTasks.delete(task.taskId);
        break;
      case 'reload':
        break;
    }
  }
  batch(() => {
    tasks.value = nextTasks;
    sessions.value = nextSessions;
  });
}

/** Updates one task in the lists with a record that a page has read. */
export function learned(task: Task): void {
  const next = new Map(tasks.value);
  // A whole record does not have the mark of a list.
  next.set(task.taskId, { truncated: false, ...task });
  tasks.value = next;
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      done();
    }, { once: true });
  });
}
