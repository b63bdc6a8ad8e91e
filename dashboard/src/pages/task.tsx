import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem, curl, download, get, send } from '../api';
import { count, money } from '../format';
import { learned, returns, sessions, tasks } from '../live';
import { Asks } from '../parts/asks';
import { Ago, Badge, Confirm, Copy, Empty, Fact, Loading, Trouble } from '../parts/basic';
import { edit } from '../parts/composer';
import { Deliveries } from '../parts/deliveries';
import { Candidates, PullRequest } from '../parts/repository';
import { Result } from '../parts/result';
import { Elapsed } from '../parts/tables';
import { useGet } from '../parts/use';
import { Stream, Timeline, useWork } from '../parts/work';
import { go, href } from '../route';
import type { Delivery, Task } from '../types';

export function TaskPage({ taskId }: { taskId: string }) {
  const [task, setTask] = useState<Task | null>(null);
  const [error, setError] = useState<unknown>(null);
  const load = useCallback(async () => {
    try {
      const found = await get<Task>(`/task/${taskId}`);
      setTask(found);
      setError(null);
    } catch (error) {
      setError(error);
    }
  }, [taskId]);
  const listed = tasks.value.get(taskId);
  useEffect(() => void load(), [load, listed?.status, listed?.stage, listed?.pr_url, returns.value]);
  useEffect(() => {
    if (task) learned(task);
  }, [task?.status]);

  if (!task) {
    if (error instanceof Problem && error.status === 404) {
      return <><h1>Task</h1><Empty title="There is no such task"><p>It may have been deleted with its session, or your key does not see it.</p><a class="button" href={href()}>To the overview</a></Empty></>;
    }
    return <><h1>Task</h1>{error ? <Trouble error={error} retry={() => void load()} /> : <Loading />}</>;
  }
  return <Shown key={task.taskId} task={task} reload={load} error={error} />;
}

const isFinal = (task: Task) => !['queued', 'running'].includes(task.status);

function Shown({ task, reload, error }: { task: Task; reload: () => Promise<void>; error: unknown }) {
  const timer = useRef(0);
  // The record has the current cost, so read it again when the agent makes progress.
  const onMove = useCallback(() => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => void reload(), 150);
  }, [reload]);
  const { transcript, state, returned } = useWork(task.taskId, task.sessionId, isFinal(task), onMove);
  const [failure, setFailure] = useState<unknown>(null);
  const [asking, setAsking] = useState(false);
  const isRepository = task.kind === 'repository';
  const agent = sessions.value.get(task.sessionId)?.agent;
  const abort = (mode: 'kill' | 'interrupt') => send(`POST`, `/task/${task.taskId}/abort${mode === 'interrupt' ? '?mode=interrupt' : ''}`);
  const retry = async () => go('tasks', (await send<{ taskId: string }>('POST', `/task/${task.taskId}/retry`)).taskId);
  const attempt = (work: () => Promise<unknown>) => () => {
    setFailure(null);
    work().then(() => reload(), setFailure);
  };
  const body = isRepository
    ? { prompt: task.prompt, ...(task.repo && { repo: task.repo }), ...(task.context && { context: task.context }) }
    : { sessionId: task.sessionId, message: task.prompt, ...(task.context && { context: task.context }) };

  return (
    <>
      <div class="page-head">
        <p class="crumbs">{isRepository ? <><a href={href()}>Tasks</a> / <a href={href('sessions', task.sessionId)}>Session</a></> : <><a href="#/?view=sessions">Sessions</a> / <a href={href('sessions', task.sessionId)}>{task.sessionId}</a></>}</p>
        <div class="title-line">
          <h1 class="prompt-title" tabIndex={-1}>{title(task.prompt)}</h1>
          <span role="status" aria-label="Status"><Badge status={task.status} /></span>
        </div>
        <div class="actions">
          {!isFinal(task) && <button type="button" onClick={attempt(() => abort('interrupt'))} disabled={task.status !== 'running'}>Interrupt</button>}
          {!isFinal(task) && <button type="button" class="danger" onClick={() => setAsking(true)}>Abort</button>}
          {isFinal(task) && task.status !== 'completed' && <button type="button" class="primary" onClick={attempt(retry)}>Retry</button>}
          {isFinal(task) && <button type="button" onClick={() => edit(task)}>Edit and send</button>}
          <Copy label="Copy as cURL" text={() => curl('/task', 'POST', body)} />
          <button type="button" class="quiet" onClick={attempt(() => download(`/task/${task.taskId}/logs?format=ndjson`, `task-${task.taskId}.ndjson`))}>Download NDJSON</button>
        </div>
      </div>
      <Trouble error={failure ?? (error instanceof Problem && error.status !== 0 ? error : null)} />
      {state === 'lost' && <p class="banner warn" role="status"><i class="spin" aria-hidden="true" />Stream lost. Reconnecting at event {count(transcript.last)}.</p>}
      {returned > 0 && state === 'live' && <p class="hint" role="status">Reconnected at event {count(transcript.last)}; no events were missed.</p>}
      <dl class="facts">
        <Fact name="Cost"><span class="big">{money(task.cost)}</span></Fact>
        <Fact name="Duration"><span class="big"><Elapsed task={task} /></span></Fact>
        {task.usage && <Fact name="Tokens">{count(task.usage.input_tokens + task.usage.cache_creation_input_tokens + task.usage.cache_read_input_tokens)} in, {count(task.usage.output_tokens)} out</Fact>}
        <Fact name="Model">{task.scripted ? <>scripted, not {task.model}</> : task.model}</Fact>
        {agent && !isRepository && <Fact name="Agent">{agent}</Fact>}
        {task.stage && <Fact name="Stage">{task.stage}</Fact>}
        {task.repo && !task.pr_url && <Fact name="Repository">{task.repo}</Fact>}
        {task.branch && !task.pr_url && <Fact name="Branch"><code>{task.branch}</code></Fact>}
        <Fact name="Created"><Ago time={task.created} /></Fact>
        <Fact name="Task"><code>{task.taskId}</code></Fact>
      </dl>
      {task.pr_url && <PullRequest task={task} address={task.pr_url} />}
      <Timeline transcript={transcript} task={task} />
      {(task.prompt.length > 140 || task.prompt.includes('\n') || task.context) && (
        <details class="prompt"><summary>Whole message</summary>{task.context && <pre class="plain">{task.context}</pre>}<pre class="plain">{task.prompt}</pre></details>
      )}
      <Asks task={task} reload={reload} />
      <h2 class="hidden">Work</h2>
      {state === 'reading' ? <Loading /> : <Stream transcript={transcript} isRunning={task.status === 'running'} />}
      {isFinal(task) && <Result task={task} />}
      {isRepository && task.status === 'failed' && <Candidates task={task} />}
      <TaskDeliveries taskId={task.taskId} isFinal={isFinal(task)} />
      {asking && (
        <Confirm title="Abort this task?" action="Abort task" onClose={() => setAsking(false)} onConfirm={async () => { await abort('kill'); await reload(); }}>
          <p>{isRepository
            ? 'The container is stopped. Pushed commits stay in the repository, and the pull request stays a draft.'
            : 'The container is stopped. Its files stay, and the session continues with the next message.'} <b>Interrupt</b> ends the turn and keeps the container.</p>
        </Confirm>
      )}
    </>
  );
}

/** The webhook deliveries of a task. */
function TaskDeliveries({ taskId, isFinal }: { taskId: string; isFinal: boolean }) {
  const { value, reload } = useGet<Delivery[]>(`/webhooks?task=${taskId}`, isFinal);
  if (!value?.length) return null;
  return (
    <section class="task-deliveries" aria-labelledby="task-deliveries">
      <h2 id="task-deliveries">Webhooks</h2>
      <Deliveries deliveries={value} reload={reload} ofTask />
    </section>
  );
}

function title(prompt: string): string {
  const line = prompt.trim().split('\n', 1)[0] ?? '';
  return line.length > 140 ? `${line.slice(0, 140)}…` : line || 'Task';
}
