// The result of a task.
import { failure, pretty, upper, withoutErrno } from '../format';
import { Markdown } from '../markdown';
import type { Task } from '../types';
import { Sentence } from './basic';
import { type Report, reportOf } from './repository';

/** `text` is the answer as Markdown, `null` if it is data only. */
export function Result({ task, text }: { task: Task; text: string | null }) {
  if (task.status === 'queued' || task.status === 'running') return null;
  if (task.status !== 'completed') {
    const wasRemoved = task.status === 'aborted' && !task.started;
    return (
      <section class={`answer ${task.status}`} aria-label="Result">
        <h2>{wasRemoved ? 'Removed before it started' : task.status === 'aborted' ? 'Stopped' : failure(task.errorType, task.error)}</h2>
        {!wasRemoved && <p><Sentence text={upper(withoutErrno(task.error ?? 'The server recorded no reason.'))} /></p>}
        {task.summary && !task.error?.includes(task.summary) && <Markdown text={task.summary} />}
      </section>
    );
  }
  const report = reportOf(task);
  const shown = report ? report.summary : text;
  const isUnknown = task.output === undefined && task.response === undefined;
  const hasData = task.output !== null && task.output !== undefined && typeof task.output !== 'string';
  return (
    <section class="answer completed" aria-label="Result">
      {report?.title && <h2>{report.title}</h2>}
      {shown && <Markdown text={shown} />}
      {report && <Checks report={report} />}
      {hasData && <details open={!shown}><summary>Data</summary><pre class="code" tabIndex={0}>{pretty(task.output)}</pre></details>}
      {!shown && !hasData && !isUnknown && <p class="hint">The agent returned no text.</p>}
    </section>
  );
}

/** The checks that the worker ran, with their results. */
function Checks({ report }: { report: Report }) {
  return (
    <>
      {report.checks.length > 0 && (
        <ul class="checks plain-checks" aria-label="Checks">
          {report.checks.map(({ command, passed }) => (
            <li class={passed ? 'ok' : 'not-ok'}><i aria-hidden="true">{passed ? '✓' : '✕'}</i><code>{command}</code><span>{passed ? 'passed' : 'failed'}</span></li>
          ))}
        </ul>
      )}
      {report.blockers && <p class="blockers"><b>Blocked:</b> {report.blockers}</p>}
    </>
  );
}
