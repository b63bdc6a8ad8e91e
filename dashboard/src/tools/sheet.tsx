// A block of lines with a head, a copy button, and a fold after the first lines. Long lines scroll, and indentation is kept.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { count } from '../format';
import { Copy } from '../parts/basic';
import type { Span } from './ansi';

/** The number of lines shown at first. */
export const FOLD_LINES = 20;
/** The number of lines shown after unfolding. More would slow the page. */
const MAX_LINES = 5000;

export interface Row {
  spans: Span[];
  /** The text in the margin: a line number, a prompt, a sign. */
  mark?: string;
  kind?: string;
}

interface Props {
  name: ComponentChildren;
  /** The text that the button copies. */
  copy: string;
  rows: Row[];
  class?: string;
  /** More about the block, at the end of its head. */
  note?: ComponentChildren;
  fold?: number;
}

export function Sheet({ name, copy, rows, class: kind = '', note, fold = FOLD_LINES }: Props) {
  const [open, setOpen] = useState(false);
  // A fold that hides only a few lines is not worth a click.
  const shown = open ? MAX_LINES : rows.length > fold + 3 ? fold : rows.length;
  const rest = rows.length - shown;
  return (
    <div class={`sheet ${kind}`}>
      <Head name={name} copy={copy} note={note} />
      <pre class="lines" tabIndex={0}><code>{rows.slice(0, shown).map((row, index) => <Line key={index} row={row} />)}</code></pre>
      {rest > 0 && (open ? <p class="sheet-more">{count(rest)} more lines are not shown; Copy copies them.</p>
        : <button type="button" class="quiet sheet-more" onClick={() => setOpen(true)}>Show {count(rest)} more lines</button>)}
    </div>
  );
}

export function Head({ name, copy, note }: { name: ComponentChildren; copy: string; note?: ComponentChildren }) {
  return <div class="sheet-head"><span class="sheet-name">{name}</span>{note}<Copy text={copy} /></div>;
}

function Line({ row: { spans, mark, kind } }: { row: Row }) {
  return (
    <span class={`line ${kind ?? ''}`}>
      {mark !== undefined && <span class="line-mark" data-mark={mark} aria-hidden="true" />}
      <span class="line-text">{spans.map(({ text, style }) => (style ? <span class={style}>{text}</span> : text))}{'\n'}</span>
    </span>
  );
}

/** Lines of text without colours. */
export function plainRows(text: string): Row[] {
  return text.split('\n').map((line) => ({ spans: line ? [{ text: line, style: '' }] : [] }));
}
