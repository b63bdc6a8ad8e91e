// A session: its conversation in the middle, what it is at the side, the composer at its foot.
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { Problem, call, id, nextPage } from '../api';
import { firstLine, stateOf } from '../parts/tables';
import { plainName } from '../format';
import { sessions, tasks } from '../live';
import { Badge, Choice, Empty, Loading, Trouble } from '../parts/basic';
import { Dock } from '../parts/dock';
import { Exchange, isFinal } from '../parts/exchange';
import { useFollow } from '../parts/follow';
import { Plan, SessionFacts } from '../parts/session-side';
import { useTitle } from '../parts/title';
import { useGet, useLoad } from '../parts/use';
import { route, setQuery } from '../route';
import type { Transcript } from '../transcript';
import type { Session, Task } from '../types';
import { Files } from './files';

/** The number of tasks that are loaded at first, and by each request for older ones. */
const PAGE = 100;

interface TaskPage {
  tasks: Task[];
  /** The address of the next older tasks. */
  next: string | null;
}

/** Returns tasks with their answers, newest first. A page ends before 4 MiB. */
async function page(path: string, signal?: AbortSignal): Promise<TaskPage> {
  const answer = await call(path, { signal });
  return { tasks: (await answer.json()) as Task[], next: nextPage(answer) };
}

/** A change of another task leaves a record the same object, so that nothing is loaded for it again. */
const merges = new WeakMap<Task, { before: Task | undefined; task: Task }>();

/** The record of a page with a later change, which has the beginnings of long texts. */
function merged(before: Task | undefined, task: Task): Task {
  const known = merges.get(task);
  if (known && known.before === before) return known.task;
  const isWhole = task.truncated && before && !before.truncated;
  const both = { ...before, ...task, ...(isWhole && { prompt: before.prompt, context: before.context, truncated: false }) };
  merges.set(task, { before, task: both });
  return both;
}

export function SessionPage({ sessionId }: { sessionId: string }) {
  const listed = sessions.value.get(sessionId);
  const found = useGet<Session>(`/session/${id(sessionId)}`, `${listed?.state} ${listed?.turns}`);
  const past = useLoad(`/tasks?limit=${PAGE}&full=1&sessionId=${id(sessionId)}`, page, listed?.turns);
  const [older, setOlder] = useState<TaskPage | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const next = older ? older.next : past.value?.next ?? null;
  const loadOlder = () => page(next!).then(({ tasks, next }) => setOlder({ tasks: [...older?.tasks ?? [], ...tasks], next }), setFailure);
  const conversation = useMemo(() => {
    const known = new Map([...older?.tasks ?? [], ...past.value?.tasks ?? []].map((task) => [task.taskId, task]));
    for (const task of tasks.value.values()) {
      const before = known.get(task.taskId);
      if (task.sessionId === sessionId && !(before?.finished && !task.finished)) known.set(task.taskId, merged(before, task));
    }
    return [...known.values()].sort((a, b) => a.created.localeCompare(b.created) || a.taskId.localeCompare(b.taskId));
  }, [past.value, older, tasks.value, sessionId]);
  const session = { ...found.value, ...listed } as Session;
  const title = conversation[0] && !next ? firstLine(conversation[0].prompt) : plainName(sessionId);
  useTitle(title);

  if (found.error instanceof Problem && found.error.status === 404 && !listed) return <NotYet sessionId={sessionId} />;
  if (!found.value && !listed) return <><h1>{plainName(sessionId)}</h1>{found.error ? <Trouble error={found.error} retry={found.reload} /> : <Loading />}</>;
  return (
    <Shown
      session={session} title={title} conversation={conversation} isLoaded={past.value !== null} loadOlder={next ? () => void loadOlder() : null}
      error={past.error ?? failure} reload={() => { setFailure(null); found.reload(); past.reload(); }}
    />
  );
}

function NotYet({ sessionId }: { sessionId: string }) {
  const follow = useFollow(false, false, () => null);
  return (
    <>
      <h1>{plainName(sessionId)}</h1>
      <Empty title="This session does not exist (yet)"><p>The first message creates it.</p></Empty>
      <Dock sessionId={sessionId} tasks={[]} follow={follow} />
    </>
  );
}

/** A task that somebody removed from the queue has no place in the conversation. */
function wasRemoved(task: Task): boolean {
  return task.errorType === 'aborted' && task.started === null;
}

interface ShownProps {
  session: Session;
  title: string;
  conversation: Task[];
  isLoaded: boolean;
  /** `null` if all tasks are loaded. */
  loadOlder: (() => void) | null;
  error: unknown;
  reload: () => void;
}

function Shown({ session, title, conversation, isLoaded, loadOlder, error, reload }: ShownProps) {
  const { sessionId } = session;
  const { query } = route.value;
  const view = query.get('view') === 'files' ? 'files' : 'conversation';
  const [named, step] = [query.get('task') ?? '', Number(query.get('step')) || 0];
  // A plan outlasts its task: the next one may continue it.
  const [transcripts, setTranscripts] = useState<ReadonlyMap<string, Transcript>>(new Map());
  const add = useCallback((transcript: Transcript, taskId: string) => setTranscripts((before) => new Map(before).set(taskId, transcript)), []);
  const unfinished = conversation.filter((task) => !isFinal(task));
  // Queued tasks behind the first one stand above the composer.
  const waiting = new Set(unfinished.slice(1));
  const shown = conversation.filter((task) => !waiting.has(task) && (!wasRemoved(task) || task.taskId === named));
  const newest = shown.at(-1)?.taskId;
  const place = useCallback(() => document.querySelector('.step.named') ?? document.getElementById(`task-${named}`), [named]);
  const follow = useFollow(isLoaded && view === 'conversation', named !== '' && (named !== newest || step !== 0), place);
  useEffect(() => {
    if (named && isLoaded) place()?.scrollIntoView({ block: 'start' });
  }, [named, step, isLoaded]);

  return (
    <>
      <div class="page-head">
        <p class="crumbs"><a href="#/?view=sessions">Sessions</a></p>
        <div class="title-line">
          <h1 class="prompt-title" tabIndex={-1}>{title}</h1>
          <span role="status" aria-label="State"><Badge status={stateOf(session)} /></span>
        </div>
        <Choice label="View" value={view} options={[['conversation', 'Conversation'], ['files', 'Files']]} onChange={(view) => setQuery({ view: view === 'files' ? 'files' : '', path: '', file: '' }, true)} />
      </div>
      {view === 'files' ? <Files sessionId={sessionId} busy={session.busy} /> : (
        <div class="session">
          <aside class="session-side" aria-label="About this session">
            <Plan transcripts={[...transcripts.values()]} />
            <details class="about" open={innerWidth > 1100}><summary>About this session</summary><SessionFacts session={session} tasks={conversation} isPartial={loadOlder !== null} reload={reload} /></details>
          </aside>
          <section aria-label="Conversation" class="conversation">
            {loadOlder && <button type="button" class="more" onClick={loadOlder}>Load older tasks</button>}
            {error ? <Trouble error={error} retry={reload} /> : null}
            {!isLoaded && !error && <Loading />}
            {isLoaded && shown.map((task) => (
              <Exchange
                key={task.taskId} task={task} isOpen={task.taskId === newest || task.taskId === named || !isFinal(task)} isNamed={task.taskId === named}
                step={task.taskId === named ? step : 0} onTranscript={task.taskId === newest ? add : undefined}
              />
            ))}
            {!shown.length && isLoaded && <Empty title="No messages yet"><p>Write the first message below.</p></Empty>}
          </section>
          <Dock sessionId={sessionId} tasks={conversation} follow={follow} />
        </div>
      )}
      <div ref={follow.end} class="end-mark" />
    </>
  );
}
