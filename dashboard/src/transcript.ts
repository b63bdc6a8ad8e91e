// Converts events into a transcript: joins pieces of text, pairs tool calls with results, and nests subagents in the call that
// started them. Blocks change in place; a block's `rev` notifies the component that shows it.
import { type Signal, signal } from '@preact/signals';
import { fields, lifeWords, notice, stageWords, waitingWords } from './notices';
import { reason } from './format';
import { describe } from './tools/describe';
import type { RunnerEvent } from './types';

interface Base {
  /** The `seq` of its first event, which its link names; negative for an event without one. */
  id: number;
  at: number;
  until: number;
  rev: Signal<number>;
  /** The reader's choice of whether it is open. */
  opened?: boolean;
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
  /** What a subagent does at the moment; empty if it has not said so. */
  progress: string;
  /** The title of the plan's item that the call changes; empty if it is not known. */
  about: string;
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

/** A moment of a task that the timeline and the line of its state need. */
export interface Moments {
  /** The first time that the agent was ready; 0 before. */
  ready: number;
  /** The time of the last event; 0 before. */
  last: number;
}

export class Transcript {
  readonly blocks: Block[] = [];
  /** Increases when a top-level block is added or removed. */
  readonly rev = signal(0);
  /** The number of events. */
  readonly count = signal(0);
  /** What happens at the moment, for people. */
  readonly doing = signal('');
  /** Increases with each tool call that starts or ends. */
  readonly calls = signal(0);
  /** The answer, once the task is complete. */
  answer: { response?: string | null; output?: unknown } | null = null;
  readonly moments: Moments = { ready: 0, last: 0 };
  last = 0;
  private readonly tools = new Map<string, Tool>();
  /** The call that started a subagent, by the subagent's id. */
  private readonly subagents = new Map<string, Tool>();
  /** The titles of the plan's items by their ids. */
  private readonly plan = new Map<string, string>();
  private readonly touched = new Set<Block>();
  private next = -1;
  private grown = false;

  /** Adds events in their order and skips duplicates. */
  take(events: RunnerEvent[]): void {
    let [count, called] = [0, false];
    for (const event of events) {
      const seq = numberOf(event);
      if (seq && seq <= this.last) continue;
      if (seq) this.last = seq;
      count += 1;
      called ||= event.type === 'tool_start' || event.type === 'tool_end';
      this.moments.last = timeOf(event) || this.moments.last;
      this.one(event);
    }
    for (const block of this.touched) block.rev.value += 1;
    this.touched.clear();
    if (this.grown) this.rev.value += 1;
    this.grown = false;
    if (called) this.calls.value += 1;
    this.count.value += count;
  }

  /** All tool calls, those of subagents too, in their order. */
  toolCalls(): Tool[] {
    return [...this.tools.values()];
  }

  /** The index of the last block if it is the text of the answer, which is shown as the result; otherwise -1. */
  indexOfAnswer(text: string | null): number {
    const at = this.blocks.findLastIndex((block) => block.kind !== 'note');
    const block = this.blocks[at];
    return text !== null && block?.kind === 'text' && block.text.trim() === text.trim() ? at : -1;
  }

  private one(event: RunnerEvent): void {
    const list = this.listOf(event);
    switch (event.type) {
      case 'thinking_start':
        this.close(list);
        this.prose(list, 'thinking', event, '');
        this.doing.value = 'Thinking';
        break;
      case 'thinking':
      case 'text':
        this.prose(list, event.type, event, event.text);
        this.doing.value = event.type === 'text' ? 'Writing' : 'Thinking';
        break;
      case 'tool_start': {
        this.close(list);
        const tool: Tool = {
          ...this.base(event), kind: 'tool', tool: event.tool, toolUseId: event.toolUseId, input: event.input,
          result: null, stopped: false, isError: false, cut: event.truncated ?? false, children: [], progress: '',
          about: this.plan.get(String(fields(event.input)['taskId'])) ?? '',
        };
        this.tools.set(tool.toolUseId, tool);
        this.add(list, tool);
        this.doing.value = describe(tool).title;
        break;
      }
      case 'tool_end': {
        const tool = this.tools.get(event.toolUseId);
        if (!tool) break;
        tool.result = event.result;
        tool.isError = event.isError;
        tool.cut ||= event.truncated ?? false;
        tool.until = timeOf(event);
        tool.progress = '';
        if (tool.tool === 'TaskCreate' && !tool.isError) this.plan.set(/#(\d+)/.exec(tool.result)?.[1] ?? '', String(fields(tool.input)['subject'] ?? ''));
        this.close(tool.children);
        this.touch(tool);
        this.doing.value = 'Waiting for the model';
        break;
      }
      case 'retry': {
        if (event.discardsFrom !== undefined) this.discard(event.discardsFrom);
        this.close(list);
        const of = event.maxRetries ? ` of ${event.maxRetries}` : '';
        const status = event.status ? ` (${event.status})` : '';
        this.note(list, event, 'warn', `The model is asked again, attempt ${event.attempt}${of}`, `${reason(event.reason)}${status}`);
        this.doing.value = 'Waiting to ask the model again';
        break;
      }
      case 'task_queued':
        this.doing.value = waitingWords(event.reason, event.position);
        break;
      case 'task_start':
        this.doing.value = 'Starting the sandbox';
        break;
      case 'init':
        this.moments.ready ||= timeOf(event);
        this.doing.value = 'Waiting for the model';
        break;
      case 'stage': {
        this.close(list);
        const { title, text } = stageWords(event);
        this.note(list, event, 'plain', title, text, event.notCloned?.length ? event.notCloned.join('\n') : undefined, event.prUrl);
        this.doing.value = title;
        break;
      }
      case 'task_complete':
        this.answer = event;
        this.end(event);
        break;
      case 'task_failed':
      case 'abort':
        // The result names the reason.
        this.end(event);
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
      case 'session_deleted':
      case 'gap': {
        const { title, text } = lifeWords(event);
        this.note(list, event, 'warn', title, text);
        break;
      }
      case 'subagent':
        this.subagent(event);
        break;
      default: {
        const found = notice(event.event ?? event);
        if (found) this.note(list, event, found.tone, found.title, found.text, found.detail);
      }
    }
  }

  /** The subagent's own events follow separately and are nested in its call. */
  private subagent({ phase, frame }: Extract<RunnerEvent, { type: 'subagent' }>): void {
    const { tool_use_id, task_id, description, last_tool_name } = fields(frame);
    const tool = this.tools.get(String(tool_use_id)) ?? this.subagents.get(String(task_id));
    if (!tool) return;
    this.subagents.set(String(task_id), tool);
    if (phase === 'updated' && typeof last_tool_name === 'string') tool.progress = [last_tool_name, description].filter((part) => typeof part === 'string').join(': ');
    this.touch(tool);
  }

  private base(event: RunnerEvent): Base {
    const at = timeOf(event);
    return { id: numberOf(event) || this.next--, at, until: at, rev: signal(0) };
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
