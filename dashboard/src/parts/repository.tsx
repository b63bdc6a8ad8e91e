// Components of repository tasks: the pull request, and the choice of a repository if the prompt is ambiguous.
import { useState } from 'preact/hooks';
import { send } from '../api';
import { Outside } from '../markdown';
import { go } from '../route';
import type { Task } from '../types';
import { Badge, Trouble } from './basic';
import { edit } from './composer';

export function PullRequest({ task, address }: { task: Task; address: string }) {
  const repository = /^(https?:\/\/.+)\/pull\/\d+$/.exec(address)?.[1];
  return (
    <section class="pull" aria-label="Pull request">
      <Badge status={stateOf(task)} />
      <b><Outside href={address}>{pullRequest(address)}</Outside></b>
      {task.repo && (repository ? <Outside href={repository}>{task.repo}</Outside> : <span>{task.repo}</span>)}
      {task.branch && <code>{task.branch}</code>}
    </section>
  );
}

/** A pull request opens as a draft with the first push and becomes ready when the task completes. An earlier one keeps its state. */
function stateOf(task: Task): string {
  if (task.status === 'completed') return 'ready for review';
  return task.branch === `claude/${task.taskId}` ? 'draft' : 'open';
}

export function pullRequest(address: string): string {
  const found = /\/pull\/(\d+)/.exec(address);
  return found ? `PR #${found[1]}` : 'Pull request';
}

/** A worker's report on its work. */
export interface Report {
  title: string;
  summary: string;
  checks: { command: string; passed: boolean }[];
  blockers: string | null;
}

export function reportOf(task: Task): Report | null {
  const report = task.output as Partial<Report> | null | undefined;
  if (task.kind !== 'repository' || typeof report?.summary !== 'string' || !Array.isArray(report.checks)) return null;
  return { title: String(report.title ?? ''), summary: report.summary, checks: report.checks, blockers: report.blockers?.trim() || null };
}

/** The repositories that match an ambiguous prompt. One click selects one. */
export function Candidates({ task }: { task: Task }) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  if (task.errorType !== 'repo_ambiguous' && task.errorType !== 'repo_not_found') return null;
  const names = candidatesOf(task.error ?? '');
  const choose = async (repo: string) => {
    setBusy(true);
    setError(null);
    try {
      const body = { prompt: task.prompt, repo, ...(task.context && { context: task.context }), async: true };
      go('tasks', (await send<{ taskId: string }>('POST', '/task', body)).taskId);
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  };
  return (
    <section class="candidates" aria-labelledby="candidates">
      <h2 id="candidates">Select a repository</h2>
      <Trouble error={error} />
      <div class="actions">
        {names.map((name) => <button type="button" disabled={busy} onClick={() => void choose(name)}>{name}</button>)}
        <button type="button" class="quiet" onClick={() => edit(task)}>{names.length ? 'Other repository' : 'Enter a name'}</button>
      </div>
    </section>
  );
}

/** Returns the names at the end of the error message. A model wrote the text before them. */
export function candidatesOf(sentence: string): string[] {
  const list = sentence.slice(sentence.lastIndexOf('; candidates are ')).match(/^; candidates are (.+)$/s)?.[1] ?? '';
  return list.replace(/, give one as `repo`$/, '').replace(/ and \d+ more$/, '').split(', ').filter((name) => /^[\w.-]+\/[\w.-]+$/.test(name));
}
