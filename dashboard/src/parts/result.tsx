// The result of a task.
import { duration, pretty, reason, upper, words } from '../format';
import { Markdown } from '../markdown';
import type { Task } from '../types';
import { type Report, reportOf } from './repository';

export function Result({ task }: { task: Task }) {
  if (task.status !== 'completed') {
    return (
      <section class={`answer ${task.status}`} aria-label="Result">
        <h2>{task.status === 'aborted' ? 'Aborted' : `Failed${task.errorType ? `: ${reason(task.errorType)}` : ''}`}</h2>
        <p>{upper(task.error ?? 'The server recorded no reason.')}</p>
        {task.summary && !task.error?.includes(task.summary) && <Markdown text={task.summary} />}
      </section>
    );
  }
  const report = reportOf(task);
  const text = report ? report.summary : words(task);
  const hasData = task.output !== null && task.output !== undefined && typeof task.output !== 'string';
  return (
    <section class="answer completed" aria-label="Result">
      <h2>{report?.title || 'Answer'}{task.duration !== undefined && <span class="hint"> after {duration(task.duration)}</span>}</h2>
      {text && <Markdown text={text} />}
      {report && <Checks report={report} />}
      {hasData && <details open={!text}><summary>Output</summary><pre class="code" tabIndex={0}>{pretty(task.output)}</pre></details>}
      {!text && !hasData && <p class="hint">The agent returned no text.</p>}
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
