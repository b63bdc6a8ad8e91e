// The tables of tasks and of sessions.
import type { ComponentChildren } from 'preact';
import { duration, money } from '../format';
import { Outside } from '../markdown';
import { href } from '../route';
import type { Session, Task } from '../types';
import { Ago, Badge, now } from './basic';

export function TaskTable({ tasks, withSession = true }: { tasks: Task[]; withSession?: boolean }) {
  return (
    <table class="list tasks">
      <caption class="hidden">Tasks, newest first</caption>
      <thead>
        <tr>
          <th scope="col">Status</th><th scope="col">Task</th>{withSession && <th scope="col">Session</th>}
          <th scope="col">Stage</th><th scope="col" class="number">Cost</th><th scope="col" class="number">Duration</th><th scope="col" class="number">Created</th>
        </tr>
      </thead>
      <tbody>{tasks.map((task) => <TaskRow key={task.taskId} task={task} withSession={withSession} />)}</tbody>
    </table>
  );
}

function TaskRow({ task, withSession }: { task: Task; withSession: boolean }) {
  const isRepository = task.kind === 'repository';
  return (
    <tr>
      <td data-label="Status"><Badge status={task.status} /></td>
      <td class="title">
        <a data-row href={href('tasks', task.taskId)}>{firstLine(task.prompt)}</a>
        {task.errorType && task.status !== 'aborted' && <span class="error-word">{task.errorType.replaceAll('_', ' ')}</span>}
      </td>
      {withSession && (
        <td class="name" data-label={isRepository ? 'Repository' : 'Session'}>
          {isRepository && task.repo ? task.repo : <a href={href('sessions', task.sessionId)}>{task.sessionId}</a>}
        </td>
      )}
      <td data-label="Stage">
        {task.pr_url ? <Outside href={task.pr_url}>{pullRequest(task.pr_url)}</Outside> : task.stage ?? <span class="none">–</span>}
      </td>
      <td class="number" data-label="Cost">{money(task.cost)}</td>
      <td class="number" data-label="Duration"><Elapsed task={task} /></td>
      <td class="number" data-label="Created"><Ago time={task.created} /></td>
    </tr>
  );
}

/** How long it took, or takes so far. */
export function Elapsed({ task }: { task: Task }) {
  if (task.duration !== undefined) return <>{duration(task.duration)}</>;
  if (!task.started) return <>–</>;
  const until = task.finished ? Date.parse(task.finished) : task.status === 'running' ? now.value : Number.NaN;
  return <>{duration(until - Date.parse(task.started))}</>;
}

export function SessionTable({ sessions }: { sessions: Session[] }) {
  return (
    <table class="list sessions">
      <caption class="hidden">Sessions, the latest active first</caption>
      <thead>
        <tr>
          <th scope="col">State</th><th scope="col">Session</th><th scope="col" class="number">Turns</th><th scope="col" class="number">Queued</th>
          <th scope="col" class="number">Active</th>
        </tr>
      </thead>
      <tbody>
        {sessions.map((session) => (
          <tr key={session.sessionId}>
            <td data-label="State"><Badge status={session.busy ? 'running' : session.state} /></td>
            <td class="title"><a data-row href={href('sessions', session.sessionId)}>{session.sessionId}</a></td>
            <td class="number" data-label="Turns">{session.turns}</td>
            <td class="number" data-label="Queued">{session.queued}</td>
            <td class="number" data-label="Active"><Ago time={session.lastActive} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function pullRequest(address: string): ComponentChildren {
  const found = /\/pull\/(\d+)/.exec(address);
  return found ? `PR #${found[1]}` : 'Pull request';
}

export function firstLine(text: string): string {
  const line = text.trim().split('\n', 1)[0] ?? '';
  return line.length > 160 ? `${line.slice(0, 160)}…` : line || '(empty)';
}
