// Converts events into a transcript: joins pieces of text, pairs tool calls with results, and nests subagents in the call that
// started them. Blocks change in place; a block's `rev` notifies the component that shows it.
import { type Signal, signal } from '@preact/signals';
import { upper } from './format';
import type { RunnerEvent } from './types';

interface Base {
  id: number;
  at: number;
  until: number;
  rev: Signal<number>;
}

export interface Prose extends Base {
  kind: 'thinking' | 'text';
  text: string;
  open: boolean;
  /** The `seq` of each piece and the length of the text before it. */
  pieces: [number, number][];
}

export interface Tool extends Base {
  kind: 'tool';
  tool: string;
  toolUseId: string;
  input: unknown;
  result: string | null;
  /** True if the task ended before the call did. */
  stopped: boolean;
  isError: boolean;
  cut: boolean;
  children: Block[];
}

export interface Note extends Base {
  kind: 'note';
  tone: 'plain' | 'warn' | 'bad' | 'good';
  title: string;
  text: string;
  detail?: unknown;
  link?: string;
}

export type Block = Prose | Tool | Note;

export class Transcript {
  readonly blocks: Block[] = [];
  /** Increases when a top-level block is added or removed. */
  readonly rev = signal(0);
  last = 0;
  count = 0;
  private readonly tools = new Map<string, Tool>();
  private readonly touched = new Set<Block>();
  private next = 1;
  private grown = false;

  /** Adds events in their order and skips duplicates. */
  take(events: RunnerEvent[]): void {
    for (const event of events) {
      const seq = numberOf(event);
      if (seq && seq <= this.last) continue;
      if (seq) this.last = seq;
      this.count += 1;
      this.one(event);
    }
    for (const block of this.touched) block.rev.value += 1;
    this.touched.clear();
    if (this.grown) this.rev.value += 1;
    this.grown = false;
  }

  private one(event: RunnerEvent): void {
    const list = this.listOf(event);
    switch (event.type) {
      case 'thinking_start':
        this.close(list);
        this.prose(list, 'thinking', event, '');
        break;
      case 'thinking':
      case 'text':
        this.prose(list, event.type, event, event.text);
        break;
      case 'tool_start': {
        this.close(list);
        const tool: Tool = {
          ...this.base(event), kind: 'tool', tool: event.tool, toolUseId: event.toolUseId, input: event.input,
          result: null, stopped: false, isError: false, cut: event.truncated ?? false, children: [],
        };
        this.tools.set(tool.toolUseId, tool);
        this.add(list, tool);
        break;
      }
      case 'tool_end': {
        const tool = this.tools.get(event.toolUseId);
        if (!tool) break;
        tool.result = event.result;
        tool.isError = event.isError;
        tool.cut ||= event.truncated ?? false;
        tool.until = timeOf(event);
        this.close(tool.children);
        this.touch(tool);
        break;
      }
      case 'retry': {
        if (event.discardsFrom !== undefined) this.discard(event.discardsFrom);
        this.close(list);
        const of = event.maxRetries ? ` of ${event.maxRetries}` : '';
        const status = event.status ? ` (${event.status})` : '';
        this.note(list, event, 'warn', `Model request retried, attempt ${event.attempt}${of}`, `${event.reason.replaceAll('_', ' ')}${status}`);
        break;
      }
      case 'task_queued': {
        const reasons: Record<string, string> = {
          session: 'for other tasks of its session', capacity: 'for a free sandbox', memory: 'for the memory of a sandbox',
          branch: 'for a task on the same branch',
        };
        const why = reasons[event.reason ?? ''];
        if (why) this.note(list, event, 'plain', `Waiting ${why}`, `position ${event.position}`);
        else this.note(list, event, 'plain', 'Queued', '');
        break;
      }
      case 'task_start':
        this.note(list, event, 'plain', 'Started', '');
        break;
      case 'init':
        this.note(list, event, 'plain', 'Agent ready', event.model, { tools: event.tools });
        break;
      case 'stage': {
        this.close(list);
        const [stage, where] = [event.stage, [event.repo, event.branch].filter(Boolean).join(' · ')];
        const does = event.prUrl ? 'has opened the' : stage === 'worker' ? 'works' : where ? 'prepares' : 'chooses the repository';
        this.note(list, event, 'plain', `${upper(stage)} ${does}`, event.prUrl ? '' : where, undefined, event.prUrl);
        break;
      }
      case 'task_complete':
        this.end(event);
        this.note(list, event, 'good', 'Completed', '');
        break;
      case 'task_failed':
      case 'abort':
        this.end(event);
        this.note(list, event, event.type === 'abort' ? 'warn' : 'bad', event.type === 'abort' ? 'Aborted' : 'Failed', event.errorType === 'aborted' ? '' : event.errorType.replaceAll('_', ' '));
        break;
      case 'ask':
        this.note(list, event, 'warn', 'Asks a person', event.ask.tool);
        break;
      case 'ask_answered':
      case 'ask_expired':
      case 'ask_withdrawn':
        this.note(list, event, 'plain', event.type === 'ask_answered' ? 'A person answered' : event.type === 'ask_expired' ? 'Nobody answered in time' : 'The question was withdrawn', [event.ask.decision, event.ask.message].filter(Boolean).join(': '));
        break;
      case 'warning':
        this.note(list, event, 'warn', 'Warning', event.message);
        break;
      case 'session_reset':
        this.note(list, event, 'warn', 'The session was reset', event.reason === 'transcript_lost' ? 'its conversation was lost' : '');
        break;
      case 'session_deleted':
        this.note(list, event, 'warn', 'The session was deleted', '');
        break;
      case 'gap':
        this.note(list, event, 'warn', 'Older events are no longer stored', `events ${event.from} to ${event.to} were removed by EVENT_RETENTION`);
        break;
      case 'subagent':
        // The subagent's events follow separately and are nested in its call.
        break;
      default:
        this.note(list, event, 'plain', 'Other event', nameOf(event), event.event ?? event);
    }
  }

  private base(event: RunnerEvent): Base {
    const at = timeOf(event);
    return { id: this.next++, at, until: at, rev: signal(0) };
  }

  private listOf(event: RunnerEvent): Block[] {
    const parent = 'parentToolUseId' in event && event.parentToolUseId ? this.tools.get(event.parentToolUseId) : undefined;
    if (!parent) return this.blocks;
    this.touch(parent);
    return parent.children;
  }

  private add(list: Block[], block: Block): void {
    list.push(block);
    if (list === this.blocks) this.grown = true;
  }

  private note(list: Block[], event: RunnerEvent, tone: Note['tone'], title: string, text: string, detail?: unknown, link?: string): void {
    this.add(list, { ...this.base(event), kind: 'note', tone, title, text, detail, link });
  }

  private prose(list: Block[], kind: Prose['kind'], event: RunnerEvent, text: string): void {
    let block = list.at(-1);
    if (block?.kind !== kind || !block.open) {
      this.close(list);
      block = { ...this.base(event), kind, text: '', open: true, pieces: [] };
      this.add(list, block);
    }
    block.pieces.push([numberOf(event), block.text.length]);
    block.text += text;
    block.until = timeOf(event) || block.until;
    this.touch(block);
  }

  /** Closes all open blocks at the end of the task. */
  private end(event: RunnerEvent): void {
    this.close(this.blocks);
    for (const tool of this.tools.values()) {
      if (tool.result !== null) continue;
      tool.stopped = true;
      tool.until = timeOf(event) || tool.until;
      this.close(tool.children);
      this.touch(tool);
    }
  }

  private close(list: Block[]): void {
    const block = list.at(-1);
    if (block && block.kind !== 'tool' && block.kind !== 'note' && block.open) {
      block.open = false;
      this.touch(block);
    }
  }

  /** Removes text and thinking since event `seq`. */
  private discard(seq: number): void {
    const within = (list: Block[]) => {
      for (let index = list.length - 1; index >= 0; index -= 1) {
        const block = list[index]!;
        if (block.kind === 'tool') {
          within(block.children);
          this.touch(block);
        }
        if (block.kind !== 'text' && block.kind !== 'thinking') continue;
        const piece = block.pieces.findIndex(([at]) => at >= seq);
        if (piece < 0) continue;
        if (piece === 0) {
          list.splice(index, 1);
          if (list === this.blocks) this.grown = true;
        } else {
          block.text = block.text.slice(0, block.pieces[piece]![1]);
          block.pieces.length = piece;
          this.touch(block);
        }
      }
    };
    within(this.blocks);
  }

  private touch(block: Block): void {
    this.touched.add(block);
  }
}

/** Returns the event's number, or 0 if it has none. */
function numberOf(event: RunnerEvent): number {
  return 'seq' in event ? event.seq : 0;
}

function timeOf(event: RunnerEvent): number {
  return ('ts' in event && Date.parse(event.ts)) || 0;
}

/** Returns the name in an event of an unknown type. */
function nameOf(event: Extract<RunnerEvent, { type: 'raw' }>): string {
  const { subtype, type } = (event.event ?? {}) as { subtype?: unknown; type?: unknown };
  return String(subtype ?? type ?? event.type).replaceAll('_', ' ');
}
