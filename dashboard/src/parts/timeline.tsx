// The timeline of a task: its phases in one row, its tool calls below, those that ran at the same time beside each other.
import { duration } from '../format';
import type { Transcript } from '../transcript';
import type { Task } from '../types';
import { now } from './basic';
import { type Span, timesOf } from './spans';

/** The height of a row, and the distance between two. */
const [ROW, GAP] = [10, 2];
const NAMES = { waiting: 'waiting', starting: 'starting', model: 'model', tool: 'tools' } as const;

export function Timeline({ transcript, task }: { transcript: Transcript; task: Task }) {
  transcript.rev.value;
  transcript.calls.value;
  const { begin, end, phases, lanes, sums } = timesOf(transcript, task, task.finished ? 0 : now.value);
  // One row of tools would repeat the phases.
  const rows = lanes.length > 1 ? [phases, ...lanes] : [phases];
  const height = rows.length * (ROW + GAP) - GAP;
  const x = (time: number) => (1000 * (time - begin)) / (end - begin);
  const bar = (span: Span, row: number) => (
    <rect class={span.kind} x={x(span.at)} y={row * (ROW + GAP)} width={Math.max(1.5, x(span.until) - x(span.at))} height={ROW}><title>{`${span.name}, ${duration(span.until - span.at)}`}</title></rect>
  );
  return (
    <figure class="timeline">
      <svg viewBox={`0 0 1000 ${height}`} height={height * 1.2} preserveAspectRatio="none" role="img" aria-label={`Timeline: ${sums.map(([kind, ms]) => `${NAMES[kind]} ${duration(ms)}`).join(', ')}`}>
        <rect class="ground" width="1000" height={ROW} />
        {rows.map((spans, row) => spans.slice(-400).map((span) => bar(span, row)))}
      </svg>
      <figcaption>{sums.map(([kind, ms]) => <span class={`key ${kind}`}><i aria-hidden="true" />{NAMES[kind]} {duration(ms)}</span>)}<span>{duration(end - begin)} in all</span></figcaption>
    </figure>
  );
}
