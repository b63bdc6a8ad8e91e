// The tables of tasks and of sessions.
import { duration, money, reason } from '../format';
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
        {task.errorType && task.status !== 'aborted' && <span class="error-text">{reason(task.errorType)}</span>}
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
  // The session of a repository task has a generated id, so show the prompt too.
  const prompts = new Map([...tasks.value.values()].filter(isRepository).map((task) => [task.sessionId, task.prompt]));
  return (
    <table class="list sessions">
      <caption class="hidden">Sessions, the latest active first</caption>
      <thead>
        <tr>
          <th scope="col">State</th><th scope="col">Session</th>{agents && <th scope="col">Agent</th>}<th scope="col" class="number">Turns</th>
          <th scope="col" class="number">Queued</th><th scope="col" class="number">Created</th><th scope="col" class="number">Active</th>
        </tr>
      </thead>
      <tbody>
        {sessions.map((session) => (
          <tr key={session.sessionId}>
            <td data-label="State"><Badge status={stateOf(session)} /></td>
            <td class="title"><a data-row href={href('sessions', session.sessionId)} title={session.sessionId}>{prompts.has(session.sessionId) && <>{firstLine(prompts.get(session.sessionId)!)} <span class="hint">repository task </span></>}{session.sessionId}</a></td>
            {agents && <td data-label="Agent" class="name">{session.agent}</td>}
            <td class="number" data-label="Turns">{session.turns}</td>
            <td class="number" data-label="Queued">{session.queued}</td>
            <td class="number" data-label="Created"><Ago time={session.created} /></td>
            <td class="number" data-label="Active"><Ago time={session.lastActive} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export const stateOf = (session: Session): string => (session.busy ? 'running' : session.state);

export function firstLine(text: string): string {
  const line = text.trim().split('\n', 1)[0] ?? '';
  return line.length > 160 ? `${line.slice(0, 160)}…` : line || '(empty)';
}
