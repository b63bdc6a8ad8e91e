// The difference between two texts, line by line.

export interface DiffLine {
  kind: 'same' | 'old' | 'new';
  /** The line's place in the old or the new text, from 0. */
  at: number;
}

/** A larger table of common lines would block the page. */
const MAX_CELLS = 1_000_000;

export function diff(old: readonly string[], fresh: readonly string[]): DiffLine[] {
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < fresh.length - head && old[old.length - 1 - tail] === fresh[fresh.length - 1 - tail]) tail += 1;
  const lines: DiffLine[] = [];
  for (let at = 0; at < head; at += 1) lines.push({ kind: 'same', at });
  middle(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail), head, lines);
  for (let at = fresh.length - tail; at < fresh.length; at += 1) lines.push({ kind: 'same', at });
  return lines;
}

/** Appends the part between the common beginning and end, by the longest common subsequence. */
function middle(old: string[], fresh: string[], offset: number, lines: DiffLine[]): void {
  const width = fresh.length + 1;
  const isLarge = old.length * fresh.length > MAX_CELLS;
  const common = new Uint32Array(isLarge ? 0 : (old.length + 1) * width);
  if (!isLarge) {
    for (let i = old.length - 1; i >= 0; i -= 1) {
      for (let j = fresh.length - 1; j >= 0; j -= 1) {
        common[i * width + j] = old[i] === fresh[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
      }
    }
  }
  let [i, j] = [0, 0];
  while (i < old.length || j < fresh.length) {
    if (!isLarge && i < old.length && j < fresh.length && old[i] === fresh[j]) {
      lines.push({ kind: 'same', at: offset + j });
      i += 1;
      j += 1;
    } else if (i < old.length && (j >= fresh.length || isLarge || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) {
      lines.push({ kind: 'old', at: offset + i });
      i += 1;
    } else {
      lines.push({ kind: 'new', at: offset + j });
      j += 1;
    }
  }
}
