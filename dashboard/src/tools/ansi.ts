// The colours of a terminal's output. Everything else that a terminal would obey is removed.

export interface Span {
  text: string;
  /** Class names, separated by spaces. */
  style: string;
}

/** A colour or font sequence, or any other sequence: of the cursor, of a title, of a character set. */
const SEQUENCE = /\u001b\[([\d;:]*)m|\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])/g;
const BELLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

interface Pen {
  fore: string;
  back: string;
  marks: Set<string>;
}

/** The lines of an output, each as spans. A carriage return starts its line again, as progress bars do. */
export function terminalLines(output: string): Span[][] {
  const pen: Pen = { fore: '', back: '', marks: new Set() };
  return output.replaceAll('\r\n', '\n').split('\n').map((line) => spansOf(line.slice(line.replace(/\r+$/, '').lastIndexOf('\r') + 1), pen));
}

function spansOf(line: string, pen: Pen): Span[] {
  const spans: Span[] = [];
  let from = 0;
  const push = (text: string) => {
    const plain = text.replace(BELLS, '');
    if (plain) spans.push({ text: plain, style: [pen.fore, pen.back, ...pen.marks].filter(Boolean).join(' ') });
  };
  for (const found of line.matchAll(SEQUENCE)) {
    push(line.slice(from, found.index));
    from = found.index + found[0].length;
    if (found[1] !== undefined) draw(pen, found[1].split(/[;:]/).map(Number));
  }
  push(line.slice(from));
  return spans;
}

function draw(pen: Pen, codes: number[]): void {
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at]!;
    if (code === 0) [pen.fore, pen.back, pen.marks] = ['', '', new Set()];
    else if (code === 1) pen.marks.add('ansi-bold');
    else if (code === 2) pen.marks.add('ansi-dim');
    else if (code === 3) pen.marks.add('ansi-italic');
    else if (code === 4) pen.marks.add('ansi-underline');
    else if (code === 22) ['ansi-bold', 'ansi-dim'].forEach((mark) => pen.marks.delete(mark));
    else if (code === 23) pen.marks.delete('ansi-italic');
    else if (code === 24) pen.marks.delete('ansi-underline');
    else if (code >= 30 && code <= 37) pen.fore = `ansi-${code - 30}`;
    else if (code >= 90 && code <= 97) pen.fore = `ansi-${code - 82}`;
    else if (code >= 40 && code <= 47) pen.back = `ansi-on-${code - 40}`;
    else if (code >= 100 && code <= 107) pen.back = `ansi-on-${code - 100}`;
    else if (code === 39) pen.fore = '';
    else if (code === 49) pen.back = '';
    else if (code === 38 || code === 48) {
      const [index, used] = codes[at + 1] === 5 ? [of256(codes[at + 2] ?? 0), 2] : [nearest(codes[at + 2] ?? 0, codes[at + 3] ?? 0, codes[at + 4] ?? 0), 4];
      if (code === 38) pen.fore = `ansi-${index}`;
      else pen.back = `ansi-on-${index % 8}`;
      at += used;
    }
  }
}

/** The nearest of the 16 colours to one of 256. The theme chooses those 16, so that they can be read on its ground. */
function of256(index: number): number {
  if (index < 16) return index;
  if (index >= 232) return nearest((index - 232) * 10 + 8, (index - 232) * 10 + 8, (index - 232) * 10 + 8);
  const level = (part: number) => (part ? part * 40 + 55 : 0);
  const cube = index - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

function nearest(red: number, green: number, blue: number): number {
  const top = Math.max(red, green, blue);
  const isOn = (part: number) => (top > 0 && part > top * 0.6 ? 1 : 0);
  if (top < 48) return 0;
  return isOn(red) + 2 * isOn(green) + 4 * isOn(blue) + (top > 200 ? 8 : 0);
}
