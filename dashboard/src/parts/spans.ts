// Where the time of a task went: waiting, starting, the model, tools. The phases do not overlap, so their sum is the task's time.
import type { Tool, Transcript } from '../transcript';
import type { Task } from '../types';

export type PhaseKind = 'waiting' | 'starting' | 'model' | 'tool';

export interface Span {
  kind: PhaseKind;
  name: string;
  at: number;
  until: number;
}

export interface Times {
  begin: number;
  end: number;
  phases: Span[];
  /** Tool calls, those that ran at the same time in different rows. */
  lanes: Span[][];
  sums: [PhaseKind, number][];
}

/** More parallel calls than this share the last row. */
const MAX_LANES = 6;

export function timesOf(transcript: Transcript, task: Task, now: number): Times {
  const begin = Date.parse(task.created);
  const end = Math.max(task.finished ? Date.parse(task.finished) : now, transcript.moments.last, begin + 1);
  const started = task.started ? Date.parse(task.started) : end;
  const calls = transcript.blocks.filter((block): block is Tool => block.kind === 'tool');
  // Without the event of a ready agent, the first call shows that it was ready.
  const ready = Math.min(end, Math.max(started, transcript.moments.ready || calls[0]?.at || end));
  const tools = calls.map((tool) => {
    const at = Math.min(end, Math.max(ready, tool.at));
    return { kind: 'tool' as const, name: tool.tool, at, until: Math.min(end, Math.max(at, tool.result === null && !tool.stopped ? end : tool.until)) };
  }).sort((a, b) => a.at - b.at);
  const phases: Span[] = [
    { kind: 'waiting', name: 'waiting', at: begin, until: started },
    { kind: 'starting', name: 'starting', at: started, until: ready },
  ];
  // Between the tools, the model works. Parallel calls count once.
  let at = ready;
  for (const { at: from, until } of [...merged(tools), { at: end, until: end }]) {
    phases.push({ kind: 'model', name: 'model', at, until: from });
    phases.push({ kind: 'tool', name: 'tools', at: from, until });
    at = until;
  }
  const shown = phases.filter((span) => span.until > span.at);
  const sums = (['waiting', 'starting', 'model', 'tool'] as const).map((kind): [PhaseKind, number] => [kind, shown.reduce((sum, span) => sum + (span.kind === kind ? span.until - span.at : 0), 0)]);
  return { begin, end, phases: shown, lanes: lanesOf(tools), sums: sums.filter(([, ms]) => ms > 0) };
}

function merged(spans: readonly Span[]): { at: number; until: number }[] {
  const all: { at: number; until: number }[] = [];
  for (const { at, until } of spans) {
    const before = all.at(-1);
    if (before && at <= before.until) before.until = Math.max(before.until, until);
    else all.push({ at, until });
  }
  return all;
}

function lanesOf(spans: readonly Span[]): Span[][] {
  const lanes: Span[][] = [];
  for (const span of spans) {
    const free = lanes.find((lane) => lane.at(-1)!.until <= span.at) ?? (lanes.length < MAX_LANES ? undefined : lanes.at(-1));
    if (free) free.push(span);
    else lanes.push([span]);
  }
  return lanes;
}
