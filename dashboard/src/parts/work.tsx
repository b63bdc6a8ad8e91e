// The work of a task: prose, and one line for each step, which opens. A long one is split into pieces, and the document contains only
// those near the viewport.
import { useSignal } from '@preact/signals';
import { memo } from 'preact/compat';
import { useEffect, useRef, useState } from 'preact/hooks';
import { clock, duration, pretty } from '../format';
import { Markdown, Outside } from '../markdown';
import { ToolBody } from '../tools/body';
import { describe } from '../tools/describe';
import type { Block, Note, Prose, Tool, Transcript } from '../transcript';
import { Fold } from './fold';

/** The number of blocks in a piece. */
const PIECE = 20;
/** The assumed height of a block before its first rendering. */
const BLOCK_PX = 40;

interface StreamProps {
  transcript: Transcript;
  /** The answer's text, which the result shows. */
  answer: string | null;
  /** The `seq` of the step that the address names; 0 without one. */
  step: number;
  /** The address of a step. */
  addressOf: (step: number) => string;
}

export function Stream({ transcript, answer, step, addressOf }: StreamProps) {
  transcript.rev.value;
  const [all, setAll] = useState<boolean | null>(null);
  const skipped = transcript.indexOfAnswer(answer);
  const blocks = skipped < 0 ? transcript.blocks : transcript.blocks.filter((_, index) => index !== skipped);
  const wanted = step ? blocks.findIndex((block) => holds(block, step)) : -1;
  const pieces = [];
  for (let start = 0; start < blocks.length; start += PIECE) {
    const end = Math.min(start + PIECE, blocks.length);
    pieces.push(<Piece key={start} blocks={blocks.slice(start, end)} last={end === blocks.length} all={all} step={wanted >= start && wanted < end ? step : 0} addressOf={addressOf} />);
  }
  return (
    <div class="stream">
      {blocks.some((block) => block.kind === 'tool' || block.kind === 'thinking') && (
        <div class="stream-tools">
          <Count transcript={transcript} />
          <button type="button" class="quiet" onClick={() => setAll(all !== true)}>{all === true ? 'Fold all' : 'Unfold all'}</button>
        </div>
      )}
      {pieces}
    </div>
  );
}

function holds(block: Block, step: number): boolean {
  return block.id === step || (block.kind === 'tool' && block.children.some((child) => holds(child, step)));
}

/** Its own component, because it changes with each piece of text. */
function Count({ transcript }: { transcript: Transcript }) {
  const count = transcript.count.value;
  return <span class="hint">{count.toLocaleString('en-US')} {count === 1 ? 'event' : 'events'}</span>;
}

interface BlocksProps {
  blocks: Block[];
  all: boolean | null;
  step: number;
  addressOf: (step: number) => string;
}

const Piece = memo(
  function Piece({ last, ...rest }: BlocksProps & { last: boolean }) {
    const place = useRef<HTMLDivElement>(null);
    const near = useSignal(last || rest.step !== 0);
    const height = useRef(rest.blocks.length * BLOCK_PX);
    useEffect(() => {
      const observer = new IntersectionObserver(([entry]) => {
        if (!entry) return;
        if (near.value && !entry.isIntersecting) height.current = entry.boundingClientRect.height;
        near.value = entry.isIntersecting;
      }, { rootMargin: '1200px 0px' });
      if (place.current) observer.observe(place.current);
      return () => observer.disconnect();
    }, []);
    // A link to a step can open after the piece was rendered.
    useEffect(() => {
      if (rest.step) near.value = true;
    }, [rest.step]);
    return (
      <div ref={place} class="piece" style={near.value ? undefined : { height: `${height.current}px` }}>
        {near.value && <Blocks {...rest} />}
      </div>
    );
  },
  // A full piece does not re-render when a block is added at the end; its blocks re-render themselves.
  (before, after) => before.all === after.all && before.last === after.last && before.step === after.step && before.blocks.length === after.blocks.length
    && before.blocks.every((block, index) => block === after.blocks[index]),
);

function Blocks({ blocks, ...rest }: BlocksProps) {
  return <>{blocks.map((block) => <One key={block.id} block={block} {...rest} />)}</>;
}

type Rest = Omit<BlocksProps, 'blocks'>;

function One({ block, ...rest }: Rest & { block: Block }) {
  switch (block.kind) {
    case 'text':
      return <Text block={block} />;
    case 'thinking':
      return <Step id={block.id} {...rest}><Thinking block={block} {...rest} /></Step>;
    case 'tool':
      return <Step id={block.id} {...rest}><ToolCall block={block} {...rest} /></Step>;
    case 'note':
      return <NoteLine note={block} />;
  }
}

/** A step with its link. The page scrolls to the step that the address names. */
function Step({ id, step, addressOf, children }: Rest & { id: number; children: preact.ComponentChildren }) {
  return (
    <div class={`step ${step === id ? 'named' : ''}`}>
      {children}
      {id > 0 && <a class="anchor" href={addressOf(id)} aria-label={`Link to step ${id}`}>#</a>}
    </div>
  );
}

function Text({ block }: { block: Prose }) {
  block.rev.value;
  return <div class="block text"><Markdown text={block.text} /></div>;
}

function Thinking({ block, all, step }: Rest & { block: Prose }) {
  block.rev.value;
  return (
    <Fold class="thinking" memory={block} open={step === block.id || (all ?? false)} title={<><b>{block.open ? 'Thinking' : 'Thought'}</b><span class="peek">{peek(block.text)}</span></>}>
      {() => <p class="thought">{block.text}</p>}
    </Fold>
  );
}

function ToolCall({ block, ...rest }: Rest & { block: Tool }) {
  block.rev.value;
  const { title, peek, outcome } = describe(block);
  const took = block.stopped ? <span class="took">stopped</span>
    : block.result === null ? <i class="spin" role="img" aria-label="running" />
      : <span class="took">{duration(block.until - block.at)}</span>;
  return (
    <div class={`block ${block.isError ? 'is-error' : ''}`}>
      <Fold
        memory={block} class={`tool tool-${/^\w+$/.test(block.tool) ? block.tool : 'other'}`} open={rest.step === block.id || (rest.all ?? false)}
        title={<><b>{title}</b>{peek && <code class="peek">{peek}</code>}{outcome && <span class={block.isError ? 'error-label' : 'outcome'}>{outcome}</span>}{took}</>}
      >
        {() => <><ToolBody tool={block} />{block.cut && <p class="hint">Shortened here; the agent received the whole text.</p>}</>}
      </Fold>
      {block.progress && <p class="progress">{block.progress}</p>}
      {block.children.length > 0 && <div class="children" role="group" aria-label="subagent"><Blocks blocks={block.children.slice()} {...rest} /></div>}
    </div>
  );
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

function peek(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return line.length > 140 ? `${line.slice(0, 140)}…` : line;
}
