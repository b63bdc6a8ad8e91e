// The live transcript of a task. A long one is split into pieces, and the document contains only those near the viewport.
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { memo } from 'preact/compat';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { lines } from '../api';
import { clock, duration, pretty } from '../format';
import { Markdown, Outside } from '../markdown';
import { type StreamState, subscribe } from '../stream';
import { type Block, type Note, type Prose, type Tool, Transcript } from '../transcript';
import type { RunnerEvent, Task } from '../types';
import { now } from './basic';

/** The number of blocks in a piece. */
const PIECE = 40;
/** The assumed height of a block before its first rendering. */
const BLOCK_PX = 44;

export interface Work {
  transcript: Transcript;
  state: StreamState | 'reading' | 'read';
  /** The number of reconnects. */
  returned: number;
}

/** Loads the stored events of a task and then follows it live. `onMove` is called after events other than text and thinking. */
export function useWork(taskId: string, sessionId: string, isFinal: boolean, onMove?: () => void): Work {
  const transcript = useMemo(() => new Transcript(), [taskId]);
  const [state, setState] = useState<Work['state']>('reading');
  const [returned, setReturned] = useState(0);
  const move = useRef(onMove);
  move.current = onMove;
  const wasFinal = useRef(isFinal);
  useEffect(() => {
    wasFinal.current = isFinal;
    const stop = new AbortController();
    let unsubscribe = () => {};
    const take = (events: RunnerEvent[]) => {
      const own = events.filter((event) => !('taskId' in event) || event.taskId === taskId);
      transcript.take(own);
      if (own.some(({ type }) => type !== 'text' && type !== 'thinking')) move.current?.();
      if (own.some(({ type }) => ['task_complete', 'task_failed', 'abort'].includes(type))) unsubscribe();
    };
    const read = async () => {
      let epoch: string | undefined;
      const onHeaders = (headers: Headers) => (epoch = headers.get('session-epoch') ?? undefined);
      for await (const batch of lines<RunnerEvent>(`/task/${taskId}/logs?format=ndjson`, stop.signal, onHeaders)) transcript.take(batch);
      if (stop.signal.aborted) return;
      if (wasFinal.current) return setState('read');
      unsubscribe = subscribe(sessionId, epoch, transcript.last, {
        events: take,
        state: (state, isReturn) => {
          setState(state);
          if (isReturn) setReturned((count) => count + 1);
        },
      });
    };
    read().catch(() => {
      if (!stop.signal.aborted) setState('ended');
    });
    return () => {
      stop.abort();
      unsubscribe();
    };
  }, [taskId, sessionId]);
  return { transcript, state, returned };
}

export function Stream({ transcript, isRunning }: { transcript: Transcript; isRunning: boolean }) {
  const { rev, blocks } = transcript;
  const size = rev.value && blocks.length;
  const [all, setAll] = useState<boolean | null>(null);
  useTail(isRunning, transcript);
  const pieces = [];
  for (let start = 0; start < size; start += PIECE) {
    const end = Math.min(start + PIECE, size);
    pieces.push(<Piece key={start} blocks={blocks} start={start} end={end} mark={rev.value} last={end === size} all={all} />);
  }
  return (
    <div class="stream">
      {blocks.some((block) => block.kind !== 'note') && (
        <div class="stream-tools">
          <span class="hint">{transcript.count.toLocaleString('en-US')} events</span>
          <button type="button" class="quiet" onClick={() => setAll(all !== true)}>{all === true ? 'Fold all' : 'Unfold all'}</button>
        </div>
      )}
      {pieces}
      {isRunning && <p class="working" role="status"><i class="spin" aria-hidden="true" />Working</p>}
    </div>
  );
}

interface PieceProps {
  blocks: Block[];
  start: number;
  end: number;
  mark: number;
  last: boolean;
  all: boolean | null;
}

const Piece = memo(
  function Piece({ blocks, start, end, last, all }: PieceProps) {
    const place = useRef<HTMLDivElement>(null);
    const near = useSignal(last);
    const height = useRef((end - start) * BLOCK_PX);
    useEffect(() => {
      const observer = new IntersectionObserver(([entry]) => {
        if (!entry) return;
        if (near.value && !entry.isIntersecting) height.current = entry.boundingClientRect.height;
        near.value = entry.isIntersecting;
      }, { rootMargin: '1200px 0px' });
      if (place.current) observer.observe(place.current);
      return () => observer.disconnect();
    }, []);
    const shown = near.value;
    return (
      <div ref={place} class="piece" style={shown ? undefined : { height: `${height.current}px` }}>
        {shown && <Blocks blocks={blocks.slice(start, end)} all={all} />}
      </div>
    );
  },
  // A full piece does not re-render; its blocks re-render themselves.
  (before, after) => before.all === after.all && before.end === after.end && before.last === after.last && (!after.last || before.mark === after.mark) && before.blocks === after.blocks && before.mark === after.mark,
);

function Blocks({ blocks, all }: { blocks: Block[]; all: boolean | null }) {
  return <>{blocks.map((block) => <One key={block.id} block={block} all={all} />)}</>;
}

function One({ block, all }: { block: Block; all: boolean | null }) {
  switch (block.kind) {
    case 'text':
      return <Text block={block} />;
    case 'thinking':
      return <Thinking block={block} all={all} />;
    case 'tool':
      return <ToolCall block={block} all={all} />;
    case 'note':
      return <NoteLine note={block} />;
  }
}

function Text({ block }: { block: Prose }) {
  block.rev.value;
  return <div class="block text"><Markdown text={block.text} /></div>;
}

function Thinking({ block, all }: { block: Prose; all: boolean | null }) {
  block.rev.value;
  return (
    <Fold class="thinking" open={all ?? block.open} title={<><b>{block.open ? 'Thinking' : 'Thought'}</b><span class="peek">{peek(block.text)}</span></>}>
      {() => <p class="thought">{block.text}</p>}
    </Fold>
  );
}

function ToolCall({ block, all }: { block: Tool; all: boolean | null }) {
  block.rev.value;
  const state = block.stopped ? <span class="took">stopped</span> : block.result === null ? <i class="spin" role="img" aria-label="running" /> : block.isError ? <span class="error-label">failed</span> : <span class="took">{duration(block.until - block.at)}</span>;
  const isAgent = block.children.length > 0 || block.tool === 'Agent' || block.tool === 'Task';
  return (
    <div class={`block ${block.isError ? 'is-error' : ''}`}>
      <Fold class="tool" open={all ?? false} title={<><b>{isAgent ? 'Subagent' : block.tool}</b><code class="peek">{summary(block.input)}</code>{state}</>}>
        {() => (
          <>
            <Part name="Input"><pre class="code" tabIndex={0}>{inputText(block.input)}</pre></Part>
            {block.result !== null && <Part name={block.isError ? 'Error' : 'Result'}><pre class="code" tabIndex={0}>{block.result || '(empty)'}</pre></Part>}
            {block.cut && <p class="hint">Shortened here; the agent received the whole text.</p>}
          </>
        )}
      </Fold>
      {block.children.length > 0 && <div class="children" role="group" aria-label="subagent"><Blocks blocks={block.children.slice()} all={all} /></div>}
    </div>
  );
}

function Part({ name, children }: { name: string; children: ComponentChildren }) {
  return <div class="part"><span class="part-name">{name}</span>{children}</div>;
}

function NoteLine({ note }: { note: Note }) {
  const line = (
    <>
      <b>{note.title}</b>{note.text && <span>{note.text}</span>}{note.link && <Outside href={note.link}>Pull request</Outside>}
      <time class="at">{clock(new Date(note.at).toISOString())}</time>
    </>
  );
  if (note.detail === undefined) return <p class={`note ${note.tone}`}>{line}</p>;
  return <Fold class={`note ${note.tone}`} open={false} title={line}>{() => <pre class="code" tabIndex={0}>{pretty(note.detail)}</pre>}</Fold>;
}

/** A foldable section. Its content is rendered when it opens. */
function Fold(props: { class: string; open: boolean; title: ComponentChildren; children: () => ComponentChildren }) {
  const [open, setOpen] = useState(props.open);
  const touched = useRef(false);
  useEffect(() => {
    if (!touched.current) setOpen(props.open);
  }, [props.open]);
  return (
    <details class={`fold ${props.class}`} open={open} onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary onClick={() => { touched.current = true; }}>{props.title}</summary>
      {open && <div class="fold-content">{props.children()}</div>}
    </details>
  );
}

/** Keeps the page scrolled to the end while the reader is there. */
function useTail(isRunning: boolean, transcript: Transcript): void {
  useEffect(() => {
    if (!isRunning) return;
    let atEnd = true;
    const scroller = document.scrollingElement!;
    const look = () => {
      atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 120;
    };
    const observer = new ResizeObserver(() => {
      if (atEnd && transcript.count > 12) scroller.scrollTop = scroller.scrollHeight;
    });
    observer.observe(document.body);
    addEventListener('scroll', look, { passive: true });
    return () => {
      observer.disconnect();
      removeEventListener('scroll', look);
    };
  }, [isRunning, transcript]);
}

function peek(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return line.length > 140 ? `${line.slice(0, 140)}…` : line;
}

/** Summarises a tool's input by its most informative field. */
function summary(input: unknown): string {
  if (!input || typeof input !== 'object') return peek(String(input ?? ''));
  const fields = input as Record<string, unknown>;
  for (const name of ['command', 'file_path', 'path', 'pattern', 'url', 'query', 'description', 'prompt']) {
    if (typeof fields[name] === 'string') return peek(fields[name]);
  }
  return peek(JSON.stringify(input));
}

function inputText(input: unknown): string {
  const command = (input as { command?: unknown } | null)?.command;
  return typeof command === 'string' ? command : pretty(input);
}

/** A timeline of the task's phases, with their durations as text for screen readers. */
export function Timeline({ transcript, task }: { transcript: Transcript; task: Task }) {
  transcript.rev.value;
  const begin = Date.parse(task.created);
  // An unfinished span extends to the current time.
  const until = (block: Block) => (block.kind === 'tool' && block.result === null && !block.stopped ? Math.max(now.value, block.at) : block.until);
  const blocks = transcript.blocks.filter((block) => block.kind !== 'note');
  const end = Math.max(task.finished ? Date.parse(task.finished) : now.value, ...transcript.blocks.slice(-1).map(until), begin + 1);
  const started = task.started ? Date.parse(task.started) : end;
  const spans = [
    { kind: 'waiting', name: 'waiting', at: begin, until: started },
    // Starting covers the sandbox, the clone of a repository, and the model's first output.
    { kind: 'starting', name: 'starting', at: started, until: blocks[0]?.at ?? end },
    ...blocks.slice(-400).map((block) => ({ kind: block.kind, name: block.kind === 'tool' ? block.tool : block.kind, at: block.at, until: Math.max(until(block), block.at) })),
  ].filter((span) => span.until > span.at || span.kind === 'tool');
  const x = (time: number) => (1000 * (time - begin)) / (end - begin);
  const sums = new Map<string, number>();
  for (const span of spans) sums.set(span.kind, (sums.get(span.kind) ?? 0) + span.until - span.at);
  return (
    <figure class="timeline">
      <svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={`Timeline: ${[...sums].map(([kind, ms]) => `${kind} ${duration(ms)}`).join(', ')}`}>
        <rect class="ground" width="1000" height="10" />
        {spans.map((span) => (
          <rect class={span.kind} x={x(span.at)} width={Math.max(2, x(span.until) - x(span.at))} height="10"><title>{`${span.name}, ${duration(span.until - span.at)}`}</title></rect>
        ))}
      </svg>
      <figcaption>{[...sums].map(([kind, ms]) => <span class={`key ${kind}`}><i aria-hidden="true" />{kind} {duration(ms)}</span>)}</figcaption>
    </figure>
  );
}
