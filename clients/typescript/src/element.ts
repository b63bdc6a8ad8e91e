// <claude-runner-stream url session ticket-url> shows a session live. The agent's output is inserted as text, never as markup.
import { RunnerError } from './error.js';
import { type GetTicket, type TicketAnswer, webSocket } from './socket.js';
import { type EventCursor, follow } from './stream.js';
import type { RunnerEvent } from './types.js';

/** The maximum number of items. The oldest are removed first, so that a page that is open for days stays fast. */
const MAX_ITEMS = 2000;

const STYLE = `
:host { display: block; font: 14px/1.5 var(--claude-runner-font, system-ui, sans-serif); color: var(--claude-runner-text, CanvasText);
  background: var(--claude-runner-background, Canvas); border: 1px solid var(--claude-runner-line, color-mix(in srgb, currentColor 20%, transparent));
  border-radius: var(--claude-runner-radius, 8px); color-scheme: inherit; overflow: hidden; }
:host([hidden]) { display: none; }
header { display: flex; justify-content: space-between; gap: 1em; padding: 8px 12px; font-size: 12px; color: var(--claude-runner-soft, color-mix(in srgb, currentColor 75%, transparent));
  border-bottom: 1px solid var(--claude-runner-line, color-mix(in srgb, currentColor 20%, transparent)); }
header span:first-child::before { content: ""; display: inline-block; width: 8px; height: 8px; margin-right: 7px; border-radius: 50%; background: currentColor; }
header[data-state=running] span:first-child::before { background: var(--claude-runner-accent, #2a78c8); }
header[data-state=completed] span:first-child::before { background: var(--claude-runner-good, #2a8a4f); }
header[data-state=failed] span:first-child::before, header[data-state=ended] span:first-child::before { background: var(--claude-runner-bad, #c4362c); }
[role=log] { max-height: var(--claude-runner-height, 28em); overflow: auto; padding: 12px; overflow-wrap: anywhere; }
[role=log]:focus-visible { outline: 2px solid var(--claude-runner-accent, #2a78c8); outline-offset: -2px; }
[role=log] > * { margin: 0 0 10px; }
p, pre { white-space: pre-wrap; margin: 0; }
.thinking, .note, summary { color: var(--claude-runner-soft, color-mix(in srgb, currentColor 75%, transparent)); }
.thinking { font-style: italic; }
.error { color: var(--claude-runner-bad, #c4362c); }
summary { cursor: pointer; }
pre, summary code { font: 12px/1.5 var(--claude-runner-mono, ui-monospace, monospace); }
details pre { margin: 4px 0 0; padding: 8px; max-height: 16em; overflow: auto; border-radius: 4px; background: color-mix(in srgb, currentColor 7%, transparent); }
`;

interface TranscriptItem {
  node: HTMLElement;
  seq: number;
  kind: 'text' | 'thinking' | 'other';
  /** The task, and the tool call whose subagent wrote it. */
  of: string;
  /** Its text nodes, each with the number of its event. */
  pieces: [number, Text][];
}

/**
 * Attributes: `url` of the server, `session`, `ticket-url` (a POST there returns a ticket; `{session}` in it is replaced),
 * `since` (default 0: all events). The property `ticket` is a function that replaces `ticket-url`. Events bubble: `task-complete`
 * with the answer, `task-failed` with `errorType` and `error`, `stream-error` with the error that ended the stream.
 */
export class ClaudeRunnerStream extends HTMLElement {
  static readonly observedAttributes = ['url', 'session', 'ticket-url'];
  private readonly log: HTMLElement;
  private readonly head: HTMLElement;
  private readonly state: HTMLElement;
  private readonly cost: HTMLElement;
  private items: TranscriptItem[] = [];
  private tools = new Map<string, HTMLElement>();
  private spent = 0;
  private running: AbortController | undefined;
  private getTicket: GetTicket | undefined;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    this.state = element('span', { part: 'state', role: 'status' });
    this.cost = element('span', { part: 'cost' });
    this.head = element('header', { part: 'header' });
    this.head.append(this.state, this.cost);
    this.log = element('div', { part: 'log', role: 'log', 'aria-live': 'polite', 'aria-label': 'Agent output', tabindex: '0' });
    root.append(this.head, this.log);
  }

  /** Fetches a ticket for the session from the product's backend. */
  set ticket(get: GetTicket | undefined) {
    this.getTicket = get;
    this.restart();
  }
  get ticket(): GetTicket | undefined {
    return this.getTicket;
  }

  connectedCallback(): void {
    this.restart();
  }

  disconnectedCallback(): void {
    this.running?.abort();
    this.running = undefined;
  }

  attributeChangedCallback(_name: string, before: string | null, after: string | null): void {
    if (before !== after) this.restart();
  }

  private restart(): void {
    this.running?.abort();
    this.running = undefined;
    const [session, ticketUrl] = [this.getAttribute('session'), this.getAttribute('ticket-url')];
    const getTicket = this.getTicket ?? (ticketUrl === null ? undefined : fetched(ticketUrl));
    if (!this.isConnected || !session || !getTicket) return;
    const running = new AbortController();
    // Each attribute that is set restarts the stream, so start after all of them are set.
    queueMicrotask(() => running.signal.aborted || void this.run(session, getTicket, running.signal));
    this.running = running;
  }

  private async run(session: string, getTicket: GetTicket, signal: AbortSignal, isRenewed = false): Promise<void> {
    this.log.replaceChildren();
    [this.items, this.tools, this.spent] = [[], new Map(), 0];
    this.cost.textContent = '';
    this.show('connecting', 'Connecting…');
    const url = (this.getAttribute('url') ?? location.origin).replace(/\/+$/, '');
    let status = 'Ready';
    const onState = (state: 'live' | 'lost') => this.show(state === 'live' ? 'ready' : 'lost', state === 'live' ? status : 'Connection lost, reconnecting…');
    try {
      const connect = (since: EventCursor, stop: AbortSignal) => webSocket(url, getTicket, session, since, stop);
      const since = isRenewed ? 0 : (this.getAttribute('since')?.trim() || 0);
      // A page stays open for hours, so it retries without a limit.
      for await (const event of follow(connect, since, { tries: Infinity }, { signal, onState })) {
        const isAtEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
        status = this.take(event) ?? status;
        if (isAtEnd) this.log.scrollTop = this.log.scrollHeight;
      }
      this.show('ended', 'The session was deleted');
    } catch (error) {
      if (signal.aborted) return;
      // The session was deleted and created again: show the new one.
      if (error instanceof RunnerError && error.code === 'session_renewed') return this.run(session, getTicket, signal, true);
      this.show('ended', error instanceof Error ? error.message : String(error));
      this.emit('stream-error', error);
    }
  }

  /** Shows an event. Returns the new text of the status line if it changes. */
  private take(event: RunnerEvent): string | undefined {
    switch (event.type) {
      case 'task_queued':
        return this.show('queued', event.position > 0 ? `Queued, ${event.position} ahead` : 'Queued');
      case 'task_start':
        return this.show('running', 'Working…');
      case 'stage':
        return this.show('running', `Working: ${event.stage}`);
      case 'thinking':
      case 'text':
        this.appendText(event);
        return;
      case 'tool_start': {
        const details = element('details', { part: 'tool' });
        const summary = element('summary');
        summary.append(element('code', {}, event.tool), ` ${brief(event.input)}`);
        details.append(summary, element('pre', {}, pretty(event.input)));
        this.tools.set(event.toolUseId, details);
        this.add(details, event.seq, 'other');
        return;
      }
      case 'tool_end':
        this.tools.get(event.toolUseId)?.append(element('pre', event.isError ? { class: 'error' } : {}, event.result));
        this.tools.delete(event.toolUseId);
        return;
      case 'retry':
        this.discard(event.discardsFrom);
        return this.show('running', 'Retrying the model request…');
      case 'task_complete': {
        this.spend(event.cost);
        const text = event.response ?? (event.output as { response?: unknown } | null)?.response;
        // The last text usually shows the answer already.
        if (typeof text === 'string' && !this.items.some(({ node }) => node.textContent?.trim() === text.trim())) this.add(element('p', { part: 'answer' }, text), event.seq, 'other');
        this.emit('task-complete', event);
        return this.show('completed', 'Done');
      }
      case 'task_failed':
      case 'abort':
        this.add(element('p', { part: 'error', class: 'error' }, event.error), event.seq, 'other');
        this.emit('task-failed', event);
        return this.show('failed', event.type === 'abort' ? 'Aborted' : 'Failed');
      case 'ask':
        return this.show('running', 'Waiting for a person…');
      case 'ask_answered':
      case 'ask_expired':
      case 'ask_withdrawn':
        return this.show('running', 'Working…');
      case 'warning':
        this.note(event.message, event.seq);
        return;
      case 'session_reset':
        this.note('The session was reset', event.seq);
        return;
      case 'gap':
        this.note('Earlier events are no longer stored', event.to);
        return;
      case 'init':
      case 'thinking_start':
      case 'subagent':
      case 'session_deleted':
      case 'raw':
        return;
      default:
        // A newer server may send other types.
        return event satisfies never;
    }
  }

  /** Appends a delta to the item of its block. */
  private appendText({ type, text, seq, taskId, parentToolUseId }: { type: 'text' | 'thinking'; text: string; seq: number; taskId?: string; parentToolUseId?: string }): void {
    const of = `${taskId} ${parentToolUseId}`;
    const last = this.items.at(-1);
    const item = last?.kind === type && last.of === of ? last : this.add(element('p', { part: type, class: type }), seq, type, of);
    const piece = document.createTextNode(text);
    item.node.append(piece);
    item.pieces.push([seq, piece]);
  }

  private note(text: string, seq: number): void {
    this.add(element('p', { part: 'note', class: 'note' }, text), seq, 'other');
  }

  private add(node: HTMLElement, seq: number, kind: TranscriptItem['kind'], of = ''): TranscriptItem {
    const item: TranscriptItem = { node, seq, kind, of, pieces: [] };
    this.items.push(item);
    this.log.append(node);
    while (this.items.length > MAX_ITEMS) this.items.shift()?.node.remove();
    return item;
  }

  /** Removes text and thinking since event `from`. An item may have begun earlier, with the text of another message or block. */
  private discard(from: number | undefined): void {
    if (from === undefined) return;
    for (const item of this.items) {
      for (const [seq, piece] of item.pieces) if (seq >= from) piece.remove();
      item.pieces = item.pieces.filter(([seq]) => seq < from);
    }
    const isVoid = ({ seq, kind }: TranscriptItem) => seq >= from && kind !== 'other';
    for (const item of this.items) if (isVoid(item)) item.node.remove();
    this.items = this.items.filter((item) => !isVoid(item));
  }

  private spend(cost: number): void {
    this.spent += cost;
    this.cost.textContent = `$${this.spent.toFixed(4)}`;
  }

  private show(state: string, text: string): string {
    this.head.dataset['state'] = state;
    if (this.state.textContent !== text) this.state.textContent = text;
    return text;
  }

  private emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

function element(name: string, attributes: Record<string, string> = {}, text?: string): HTMLElement {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function pretty(input: unknown): string {
  return typeof input === 'string' ? input : JSON.stringify(input, null, 2);
}

/** Summarises a tool call's input on one line. */
function brief(input: unknown): string {
  const values = input && typeof input === 'object' ? Object.values(input) : [input];
  const first = values.find((value): value is string => typeof value === 'string') ?? '';
  return first.length > 80 ? `${first.slice(0, 79)}…` : first;
}

/** Requests tickets from the product's backend with the cookies of its signed-in user. */
function fetched(address: string): GetTicket {
  return async (session, signal) => {
    const answer = await fetch(address.replace('{session}', encodeURIComponent(session)), { method: 'POST', credentials: 'same-origin', signal }).catch((cause) => {
      throw new RunnerError('the ticket could not be fetched', { code: 'unreachable', retryable: true, cause });
    });
    if (!answer.ok) {
      throw new RunnerError(`the ticket was refused with ${answer.status}`, { status: answer.status, code: 'ticket_refused', retryable: answer.status === 429 || answer.status >= 500 });
    }
    return (await answer.json()) as TicketAnswer;
  };
}

if (!customElements.get('claude-runner-stream')) customElements.define('claude-runner-stream', ClaudeRunnerStream);

declare global {
  interface HTMLElementTagNameMap {
    'claude-runner-stream': ClaudeRunnerStream;
  }
}
