import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Problem, call, curl, id, nextPage, send } from '../api';
import { Elapsed, firstLine, stateOf } from '../parts/tables';
import { money, plainName, reason, words } from '../format';
import { returns, sessions, tasks } from '../live';
import { Markdown } from '../markdown';
import { Ago, Badge, Choice, Confirm, Copy, Empty, Fact, Loading, Sentence, Trouble } from '../parts/basic';
import { Composer } from '../parts/composer';
import { useGet, useLoad } from '../parts/use';
import { Stream, useWork } from '../parts/work';
import { go, href, route, setQuery } from '../route';
import type { Session, Task } from '../types';
import { Files } from './files';

/** The maximum number of tasks shown. */
const MAX_TASKS = 100;

/** Returns the latest tasks with their answers, and true if there are older ones. A page ends before 4 MiB. */
async function latest(path: string, signal: AbortSignal): Promise<{ tasks: Task[]; more: boolean }> {
  const answer = await call(path, { signal });
  return { tasks: (await answer.json()) as Task[], more: nextPage(answer) !== null };
}

export function SessionPage({ sessionId }: { sessionId: string }) {
  const listed = sessions.value.get(sessionId);
  const found = useGet<Session>(`/session/${id(sessionId)}`, `${listed?.state} ${listed?.turns} ${returns.value}`);
  const past = useLoad(`/tasks?limit=${MAX_TASKS}&full=1&sessionId=${id(sessionId)}`, latest, `${listed?.turns} ${returns.value}`);
  const view = route.value.query.get('view') === 'files' ? 'files' : 'conversation';
  const [asking, setAsking] = useState<'reset' | 'delete' | null>(null);
  const conversation = useMemo(() => {
    const known = new Map((past.value?.tasks ?? []).map((task) => [task.taskId, task]));
    for (const task of tasks.value.values()) {
      const before = known.get(task.taskId);
      if (task.sessionId === sessionId && !(before?.finished && !task.finished)) known.set(task.taskId, { ...before, ...task });
    }
    return [...known.values()].sort((a, b) => a.created.localeCompare(b.created) || a.taskId.localeCompare(b.taskId));
  }, [past.value, tasks.value, sessionId]);
  const session = { ...found.value, ...listed } as Session;
  const repository = conversation.find((task) => task.kind === 'repository');
  // The newest task is at the end, next to the reply box.
  useEffect(() => {
    if (past.value && view === 'conversation') scrollTo(0, document.body.scrollHeight);
  }, [past.value !== null, view]);

  if (found.error instanceof Problem && found.error.status === 404 && !listed) {
    return (
      <>
        <h1>{sessionId}</h1>
        <Empty title="This session does not exist (yet)"><p>The first message creates it.</p></Empty>
        <Composer session={sessionId} />
      </>
    );
  }
  if (!found.value && !listed) return <><h1>{sessionId}</h1>{found.error ? <Trouble error={found.error} retry={found.reload} /> : <Loading />}</>;

  return (
    <>
      <div class="page-head">
        <p class="crumbs"><a href="#/?view=sessions">Sessions</a>{repository && ` / ${sessionId}`}</p>
        <div class="title-line"><h1 tabIndex={-1}>{repository ? firstLine(repository.prompt) : plainName(sessionId)}</h1><span role="status" aria-label="State"><Badge status={stateOf(session)} /></span></div>
        <div class="actions">
          <button type="button" onClick={() => setAsking('reset')}>Reset</button>
          <button type="button" class="danger" onClick={() => setAsking('delete')}>Delete</button>
          <Copy label="Copy as cURL" text={() => curl(`/session/${id(sessionId)}`)} />
        </div>
      </div>
      <dl class="facts">
        <Fact name="Turns">{session.turns}</Fact>
        <Fact name="Queued">{session.queued}</Fact>
        <Fact name={past.value?.more ? `Cost of ${past.value.tasks.length} tasks` : 'Cost'}>{money(conversation.reduce((sum, task) => sum + (task.cost ?? 0), 0))}</Fact>
        <Fact name="Created"><Ago time={session.created} /></Fact>
        <Fact name="Active"><Ago time={session.lastActive} /></Fact>
        {session.agent && !repository && <Fact name="Agent">{session.agent}</Fact>}
        {repository?.repo && <Fact name="Repository">{repository.repo}</Fact>}
        {session.credential && <Fact name="Credential">{session.credential === 'session' ? 'its own' : 'the operator’s'}</Fact>}
      </dl>
      <Choice label="View" value={view} options={[['conversation', 'Conversation'], ['files', 'Files']]} onChange={(view) => setQuery({ view: view === 'files' ? 'files' : '', path: '', file: '' }, true)} />
      {view === 'files' ? <Files sessionId={sessionId} busy={session.busy} /> : (
        <section aria-label="Conversation" class="conversation">
          {past.value?.more && <p class="hint">The latest {past.value.tasks.length} tasks.</p>}
          {past.error ? <Trouble error={past.error} retry={past.reload} /> : null}
          {conversation.map((task) => <Exchange key={task.taskId} task={task} />)}
          {!conversation.length && past.value && <Empty title="No messages yet"><p>Write the first message below.</p></Empty>}
          <Composer session={sessionId} />
        </section>
      )}
      {asking === 'reset' && (
        <Confirm title="Reset this session?" action="Reset session" onClose={() => setAsking(null)} onConfirm={async () => { await send('POST', `/session/${id(sessionId)}/reset`); found.reload(); }}>
          <p>All its tasks are aborted, and the template's files are restored. <code>env</code> stays.</p>
        </Confirm>
      )}
      {asking === 'delete' && (
        <Confirm title="Delete this session?" action="Delete session" onClose={() => setAsking(null)} onConfirm={async () => { await send('DELETE', `/session/${id(sessionId)}`); go(); }}>
          <p><b>{sessionId}</b>: its container, files, conversation and events are removed. This cannot be undone.</p>
        </Confirm>
      )}
    </>
  );
}

function Exchange({ task }: { task: Task }) {
  return (
    <article class="exchange" aria-label={firstLine(task.prompt)}>
      <div class="user-message"><pre class="plain">{task.prompt}{task.truncated && '…'}</pre></div>
      <Reply task={task} />
      <p class="exchange-foot">
        <Badge status={task.status} /><span>{money(task.cost)}</span><span><Elapsed task={task} /></span><Ago time={task.created} />
        <a href={href('tasks', task.taskId)}>Show the work<span class="hidden"> for {firstLine(task.prompt)}</span></a>
      </p>
    </article>
  );
}

function Reply({ task }: { task: Task }) {
  // Keep the live view of a reply whose end the reader sees, so that the text does not move.
  const wasRunning = useRef(false);
  wasRunning.current ||= task.status === 'running';
  if (wasRunning.current && task.status === 'running') return <LiveReply task={task} />;
  if (task.status === 'queued') return <p class="hint">Queued.</p>;
  if (task.status !== 'completed') return <p class="failed-line">{task.errorType ? `${reason(task.errorType)}: ` : ''}<Sentence text={task.error ?? ''} /></p>;
  const text = words(task);
  if (text) return <div class="reply-text"><Markdown text={text} /></div>;
  return task.output === undefined ? null : <pre class="code" tabIndex={0}>{JSON.stringify(task.output, null, 2)}</pre>;
}

function LiveReply({ task }: { task: Task }) {
  const { transcript } = useWork(task.taskId, task.sessionId, false);
  return <Stream transcript={transcript} isRunning />;
}
