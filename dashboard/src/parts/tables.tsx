// The tables of tasks and of sessions.
import { duration, failure, money } from '../format';
import { tasks } from '../live';
import { Outside } from '../markdown';
import { href } from '../route';
import type { Session, Task } from '../types';
import { Ago, Badge, now } from './basic';
import { pullRequest } from './repository';

export function TaskTable({ tasks }: { tasks: Task[] }) {
  const inRepositories = tasks.some(isRepository);
  return (
    <table class="list tasks">
      <caption class="hidden">Tasks, newest first</caption>
      <thead>
        <tr>
          <th scope="col">Status</th><th scope="col">Task</th><th scope="col">{inRepositories ? 'Session or repository' : 'Session'}</th>
          {inRepositories && <><th scope="col">Stage</th><th scope="col">Pull request</th></>}
          <th scope="col" class="number">Cost</th><th scope="col" class="number">Duration</th><th scope="col" class="number">Created</th>
        </tr>
      </thead>
      <tbody>{tasks.map((task) => <TaskRow key={task.taskId} task={task} inRepositories={inRepositories} />)}</tbody>
    </table>
  );
}

const isRepository = (task: Task) => task.kind === 'repository';
const none = <span class="none">–</span>;

function TaskRow({ task, inRepositories }: { task: Task; inRepositories: boolean }) {
  return (
    <tr>
      <td data-label="Status"><Badge status={task.status} /></td>
      <td class="title">
        <a data-row href={href('tasks', task.taskId)}>{firstLine(task.prompt)}</a>
        {task.errorType && task.status !== 'aborted' && <span class="error-text">{failure(task.errorType, task.error)}</span>}
      </td>
      <td class="name" data-label={isRepository(task) ? 'Repository' : 'Session'}>
        {!isRepository(task) ? <a href={href('sessions', task.sessionId)} title={task.sessionId}>{task.sessionId}</a> : task.repo ?? (task.finished ? none : 'not selected yet')}
      </td>
      {inRepositories && (
        <>
          <td data-label="Stage">{task.stage ?? none}</td>
          <td data-label="Pull request">{task.pr_url ? <Outside href={task.pr_url}>{pullRequest(task.pr_url)}</Outside> : none}</td>
        </>
      )}
      <td class="number" data-label="Cost">{money(task.cost)}</td>
      <td class="number" data-label="Duration"><Elapsed task={task} /></td>
      <td class="number" data-label="Created"><Ago time={task.created} /></td>
    </tr>
  );
}

/** The duration of a task, or the time since its start. */
export function Elapsed({ task }: { task: Task }) {
  if (task.duration !== undefined) return <>{duration(task.duration)}</>;
  if (!task.started) return <>–</>;
  const until = task.finished ? Date.parse(task.finished) : task.status === 'running' ? now.value : Number.NaN;
  return <>{duration(until - Date.parse(task.started))}</>;
}

export function SessionTable({ sessions }: { sessions: Session[] }) {
  const agents = new Set(sessions.map((session) => session.agent)).size > 1;
  const known = summaries(tasks.value.values());
  return (
    <table class="list sessions">
      <caption class="hidden">Sessions, the latest active first</caption>
      <thead>
        <tr>
          <th scope="col">State</th><th scope="col">Session</th>{agents && <th scope="col">Agent</th>}
          <th scope="col" class="number">Cost</th><th scope="col" class="number">Turns</th><th scope="col" class="number">Active</th>
        </tr>
      </thead>
      <tbody>{sessions.map((session) => <SessionRow key={session.sessionId} session={session} known={known.get(session.sessionId)} withAgent={agents} />)}</tbody>
    </table>
  );
}

/** What the loaded tasks tell about a session. */
export interface Summary {
  first: Task;
  last: Task;
  cost: number;
}

export function summaries(tasks: Iterable<Task>): Map<string, Summary> {
  const found = new Map<string, Summary>();
  for (const task of tasks) {
    const { first, last, cost } = found.get(task.sessionId) ?? { first: task, last: task, cost: 0 };
    found.set(task.sessionId, {
      first: task.created < first.created ? task : first, last: task.created > last.created ? task : last, cost: cost + (task.cost ?? 0),
    });
  }
  return found;
}

function SessionRow({ session, known, withAgent }: { session: Session; known: Summary | undefined; withAgent: boolean }) {
  const { sessionId } = session;
  const isOneTask = known && known.first === known.last;
  return (
    <tr>
      <td data-label="State"><Badge status={stateOf(session)} /></td>
      <td class="title">
        <a data-row href={href('sessions', sessionId)} title={sessionId}>{known ? firstLine(known.first.prompt) : sessionId}</a>
        <span class="second-line">
          {known && <span class="name">{sessionId}</span>}{known && isRepository(known.first) && <span>repository task</span>}
          {known && !isOneTask && <span class="peek">Last: {firstLine(known.last.prompt)}</span>}{session.queued > 0 && <span>{session.queued} queued</span>}
        </span>
      </td>
      {withAgent && <td data-label="Agent" class="name">{session.agent}</td>}
      <td class="number" data-label="Cost">{known ? money(known.cost) : none}</td>
      <td class="number" data-label="Turns">{session.turns}</td>
      <td class="number" data-label="Active"><Ago time={session.lastActive} /></td>
    </tr>
  );
}

export const stateOf = (session: Session): string => (session.busy ? 'running' : session.state);

export function firstLine(text: string): string {
  const line = text.trim().split('\n', 1)[0] ?? '';
  return line.length > 160 ? `${line.slice(0, 160)}…` : line || '(empty)';
}
