// The line of a tool call: what it does, to what, and what came of it.
import { count } from '../format';
import { fields } from '../notices';
import type { Tool } from '../transcript';
import { diff } from './diff';

export interface Description {
  title: string;
  /** The command, path or pattern. */
  peek: string;
  /** The outcome in a few characters, such as `exit 1` or `+3 −1`. */
  outcome: string;
}

/** The changes of a larger edit are counted only when it is opened. */
const MAX_COUNTED_LINES = 400;

/** The names of a built-in tool's line. `subject` names the field that says to what. */
const KNOWN: Record<string, { title: string; subject: string }> = {
  Bash: { title: 'Run', subject: 'command' },
  BashOutput: { title: 'Read the output of a command', subject: 'bash_id' },
  KillShell: { title: 'End a command', subject: 'shell_id' },
  Read: { title: 'Read', subject: 'file_path' },
  Write: { title: 'Write', subject: 'file_path' },
  Edit: { title: 'Edit', subject: 'file_path' },
  MultiEdit: { title: 'Edit', subject: 'file_path' },
  NotebookEdit: { title: 'Edit a notebook', subject: 'notebook_path' },
  Grep: { title: 'Search', subject: 'pattern' },
  Glob: { title: 'Find files', subject: 'pattern' },
  LS: { title: 'List', subject: 'path' },
  WebFetch: { title: 'Fetch', subject: 'url' },
  WebSearch: { title: 'Search the web', subject: 'query' },
  ToolSearch: { title: 'Look up tools', subject: 'query' },
  Skill: { title: 'Use a skill', subject: 'skill' },
  Task: { title: 'Subagent', subject: 'description' },
  Agent: { title: 'Subagent', subject: 'description' },
  TodoWrite: { title: 'Plan', subject: '' },
  TaskCreate: { title: 'Add to the plan', subject: 'subject' },
  TaskUpdate: { title: 'Update the plan', subject: 'taskId' },
  TaskList: { title: 'Read the plan', subject: '' },
  TaskGet: { title: 'Read the plan', subject: 'taskId' },
  TaskStop: { title: 'Stop a background task', subject: 'task_id' },
  ExitPlanMode: { title: 'Proposed a plan', subject: '' },
  EnterPlanMode: { title: 'Started to plan', subject: '' },
  AskUserQuestion: { title: 'Asked', subject: '' },
  Monitor: { title: 'Watch', subject: 'description' },
  SendMessage: { title: 'Message to a subagent', subject: 'to' },
};

const PLAN_CHANGES: Record<string, string> = { completed: 'Done', in_progress: 'Begin', pending: 'Put back', deleted: 'Drop from the plan' };

export function describe(tool: Tool): Description {
  const input = fields(tool.input);
  const known = KNOWN[tool.tool];
  const mcp = /^mcp__(.+?)__(.+)$/.exec(tool.tool);
  const title = known?.title ?? (mcp ? `${mcp[1]} · ${mcp[2]}` : tool.tool);
  const peek = known ? line(known.subject ? input[known.subject] : '') : summary(tool.input);
  const outcome = tool.result === null ? '' : outcomeOf(tool, input, tool.result);
  switch (tool.tool) {
    case 'Bash':
      return { title: text(input['description']) || title, peek, outcome };
    case 'Read': {
      const from = Number(input['offset']) || 0;
      const lines = from ? `:${from}${Number(input['limit']) ? `–${from + Number(input['limit']) - 1}` : ''}` : '';
      return { title, peek: path(peek) + lines, outcome };
    }
    case 'Write': case 'Edit': case 'MultiEdit': case 'NotebookEdit': case 'LS':
      return { title, peek: path(peek), outcome };
    case 'Grep':
      return { title, peek: [peek, text(input['path']) && `in ${path(text(input['path']))}`].filter(Boolean).join(' '), outcome };
    case 'TodoWrite': {
      const items = Array.isArray(input['todos']) ? input['todos'].map(fields) : [];
      const done = items.filter(({ status }) => status === 'completed').length;
      return { title, peek: line(items.find(({ status }) => status === 'in_progress')?.['content']), outcome: `${done} of ${items.length}` };
    }
    case 'TaskUpdate':
      return { title: PLAN_CHANGES[text(input['status'])] ?? title, peek: tool.about || `#${peek}`, outcome };
    case 'AskUserQuestion':
      return { title, peek: line(fields(Array.isArray(input['questions']) ? input['questions'][0] : null)['question']), outcome };
    default:
      return { title, peek, outcome };
  }
}

function outcomeOf(tool: Tool, input: Record<string, unknown>, result: string): string {
  switch (tool.tool) {
    case 'Bash': {
      const status = exitStatus(tool);
      return tool.isError ? (status === null ? 'failed' : `exit ${status}`) : '';
    }
    case 'Grep': case 'Glob': {
      const hits = hitsOf(result).length;
      return tool.isError ? 'failed' : `${count(hits)} ${hits === 1 ? 'hit' : 'hits'}`;
    }
    case 'Edit': {
      const [old, fresh] = [text(input['old_string']), text(input['new_string'])].map((part) => (part ? part.split('\n') : []));
      if (tool.isError) return 'failed';
      if (old!.length > MAX_COUNTED_LINES || fresh!.length > MAX_COUNTED_LINES) return '';
      const parts = diff(old!, fresh!);
      return `+${parts.filter(({ kind }) => kind === 'new').length} −${parts.filter(({ kind }) => kind === 'old').length}`;
    }
    case 'Write': {
      const lines = linesOf(text(input['content'])).length;
      return tool.isError ? 'failed' : `${count(lines)} ${lines === 1 ? 'line' : 'lines'}`;
    }
    default:
      return tool.isError ? 'failed' : '';
  }
}

/** The exit status of a Bash call; `null` while it runs, or if it did not exit. */
export function exitStatus({ result, isError }: Tool): number | null {
  if (result === null) return null;
  const found = /^(?:Error: )?Exit code (\d+)/.exec(result);
  return found ? Number(found[1]) : isError ? null : 0;
}

/** The lines of a search's result that are hits. */
export function hitsOf(result: string): string[] {
  return linesOf(result.trimEnd()).filter((line) => line !== '' && !/^(No (files|matches) found|Found \d+ |\(Results are truncated)/.test(line));
}

/** A path without the workspace, in which the agent works. */
export function path(name: string): string {
  return name.replace(/^\/workspace\/(?=.)/, '');
}

export function linesOf(content: string): string[] {
  return content.replace(/\n$/, '').split('\n');
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A value as one line. */
export function line(value: unknown): string {
  const flat = (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value)).trim().replace(/\s+/g, ' ');
  return flat.length > 200 ? `${flat.slice(0, 200)}…` : flat;
}

/** Summarises the input of an unknown tool by its most informative field. */
function summary(input: unknown): string {
  const all = fields(input);
  for (const name of ['command', 'file_path', 'path', 'pattern', 'url', 'query', 'title', 'question', 'description', 'prompt', 'name', 'id']) {
    if (typeof all[name] === 'string') return line(all[name]);
  }
  return line(input);
}
