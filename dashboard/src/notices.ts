// Words for the events that are not work: waiting, stages, the life of a session, and what Claude Code reports about itself.
import { count, upper } from './format';
import type { RunnerEvent } from './types';

type Of<T extends RunnerEvent['type']> = Extract<RunnerEvent, { type: T }>;

export interface Notice {
  tone: 'plain' | 'warn';
  title: string;
  text: string;
  detail?: unknown;
}

/** The members of a value that may be anything. */
export function fields(value: unknown): Record<string, unknown> {
  return value && typeof value === 'object' ? (value as Record<string, unknown>) : {};
}

export function waitingWords(why: string | undefined, position: number): string {
  switch (why) {
    case 'session':
      return `Queued behind ${position === 1 ? 'one task' : `${count(position)} tasks`} of this session`;
    case 'capacity':
      return `Waiting for a free sandbox, ${ahead(position)}`;
    case 'memory':
      return `Waiting for the memory of a sandbox, ${ahead(position)}`;
    case 'branch':
      return 'Waiting for a task on the same branch';
    default:
      return 'Queued';
  }
}

function ahead(position: number): string {
  return `${count(position)} ${position === 1 ? 'session' : 'sessions'} ahead`;
}

export function stageWords(event: Of<'stage'>): { title: string; text: string } {
  const where = [event.repo, event.branch].filter(Boolean).join(' · ');
  if (event.prUrl) return { title: `${upper(event.stage)} has opened the`, text: '' };
  const does = event.stage === 'worker' ? 'works' : where ? 'prepares' : 'chooses the repository';
  return { title: `${upper(event.stage)} ${does}`, text: where };
}

export function lifeWords(event: Of<'session_reset' | 'session_deleted' | 'gap'>): { title: string; text: string } {
  switch (event.type) {
    case 'session_reset':
      return { title: 'The session was reset', text: event.reason === 'transcript_lost' ? 'its conversation was lost' : '' };
    case 'session_deleted':
      return { title: 'The session was deleted', text: '' };
    case 'gap':
      return { title: 'Older events are no longer stored', text: `events ${event.from} to ${event.to} were removed by EVENT_RETENTION` };
  }
}

/** Words for an event of Claude Code that has no type of its own; `null` if it means nothing to a person. */
export function notice(event: unknown): Notice | null {
  const { type, subtype, ...rest } = fields(event);
  const name = String(subtype ?? type ?? 'event');
  switch (name) {
    case 'compact_boundary': {
      const { pre_tokens, trigger } = fields(rest['compact_metadata']);
      const size = typeof pre_tokens === 'number' ? ` after ${count(pre_tokens)} tokens` : '';
      return { tone: 'plain', title: 'The conversation was summarised', text: `${trigger === 'manual' ? 'on request' : 'to make room'}${size}` };
    }
    case 'rate_limit_event': {
      const { status } = fields(rest['rate_limit_info']);
      if (status === 'allowed') return null;
      return { tone: 'warn', title: 'Rate limit', text: status === 'rejected' ? 'the model API rejects requests until it resets' : 'the limit is near', detail: event };
    }
    case 'commands_changed':
    case 'files_persisted':
      return null;
    case 'hook_started':
    case 'hook_progress':
    case 'hook_response':
      return { tone: 'plain', title: `Hook ${name.slice(5)}`, text: String(rest['hook_name'] ?? ''), detail: event };
    case 'permission_denied':
      return { tone: 'warn', title: 'A tool was not allowed', text: String(rest['tool_name'] ?? ''), detail: event };
    default:
      return { tone: 'plain', title: upper(name.replaceAll(/[_/]/g, ' ')), text: 'reported by Claude Code', detail: event };
  }
}
