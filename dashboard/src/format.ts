// Formats numbers and times for people. The style sheet aligns digits.

export function money(dollars: number | null | undefined): string {
  if (dollars === null || dollars === undefined) return '–';
  if (dollars === 0) return '$0.00';
  // The command line shows the same digits, rounded in the same way: `toFixed` rounds the exact value, and 0.01125 is a little less.
  if (dollars < 1) return `$${dollars.toFixed(4)}`;
  return `$${Number(dollars.toFixed(dollars < 1000 ? 2 : 0)).toLocaleString('en-US', { minimumFractionDigits: dollars < 1000 ? 2 : 0 })}`;
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${rest} s`;
}

export function bytes(size: number | null | undefined): string {
  if (size === null || size === undefined) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, size < 1 ? 0 : Math.floor(Math.log2(size) / 10));
  const value = size / 1024 ** power;
  return `${power && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** A compact number, as in 1.2k and 3.4M. */
export function short(value: number): string {
  return Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 }).format(value);
}

export function ago(time: string | null | undefined, now: number): string {
  if (!time) return '–';
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 5) return 'now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86400);
  return days < 730 ? `${days} d ago` : `${Math.floor(days / 365)} years ago`;
}

/** The time until `time`. */
export function ahead(time: string, now: number): string {
  const seconds = Math.ceil((Date.parse(time) - now) / 1000);
  if (seconds <= 0) return 'now';
  if (seconds < 60) return `in ${seconds} s`;
  if (seconds < 3600) return `in ${Math.round(seconds / 60)} min`;
  return `in ${Math.round(seconds / 3600)} h`;
}

export function clock(time: string): string {
  return new Date(time).toLocaleTimeString([], { hour12: false });
}

export function full(time: string): string {
  return new Date(time).toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium' });
}

/** A code in words. */
export function reason(code: string): string {
  return code.replaceAll('_', ' ');
}

const FAILURES: Record<string, string> = {
  timeout: 'The time limit was reached', stalled: 'The agent produced no output', auth_expired: 'The credential was rejected', no_credential: 'There is no credential for the model',
  capacity_reached: 'No capacity was free', model_unreachable: 'The model API was not reachable', engine_unavailable: 'No sandbox could be created', max_turns: 'The limit of turns was reached',
  budget_exceeded: 'The budget is spent', invalid_output: 'The answer does not fit its schema', model_refused: 'The model is not available', mcp_server_failed: 'An MCP server did not start',
  repo_not_found: 'The repository was not found', repo_ambiguous: 'Several repositories match', clone_failed: 'The repository could not be cloned', push_rejected: 'The push was rejected',
  nothing_to_do: 'Nothing was changed', oom_killed: 'The sandbox ran out of memory', container_lost: 'The sandbox was lost', deleted: 'The session was deleted',
};

/** The reason of a failure in a few words. `exit_code` covers several reasons, which only its sentence tells apart. */
export function failure(errorType: string | null, sentence: string | null): string {
  if (errorType === 'exit_code' || !errorType) {
    if (/model API (rejected|refused|answered)|answered 4\d\d|API Error: 4\d\d/i.test(sentence ?? '')) return 'The model API rejected the request';
    return 'The agent failed';
  }
  return FAILURES[errorType] ?? upper(reason(errorType));
}

/** A sentence of the server without the number of an error of its operating system. */
export function withoutErrno(sentence: string): string {
  return sentence.replace(/ \(os error \d+\)/g, '');
}

/** The tokens of a task: those that the model read anew, those from the cache, those that it wrote into the cache, and its output. */
export function tokens(usage: { input_tokens: number; cache_read_input_tokens: number; cache_creation_input_tokens: number; output_tokens: number }): string {
  const parts = [[usage.input_tokens, 'fresh'], [usage.cache_read_input_tokens, 'cached'], [usage.cache_creation_input_tokens, 'written to the cache'], [usage.output_tokens, 'out']] as const;
  return parts.filter(([amount, name]) => amount || name === 'out').map(([amount, name]) => `${count(amount)} ${name}`).join(', ');
}

/** Pretty JSON, or the string itself. */
export function pretty(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2) ?? '';
}

/** The answer's text as Markdown; `null` if the answer is data only. */
export function words(answer: { response?: string | null; output?: unknown; summary?: string | null }): string | null {
  if (answer.response) return answer.response;
  const output = answer.output;
  if (typeof output === 'string') return output;
  if (output && typeof output === 'object' && typeof (output as { response?: unknown }).response === 'string') {
    return (output as { response: string }).response;
  }
  return answer.summary ?? null;
}

/** Replaces invisible characters with visible ones, so that a name cannot mislead. */
export function plainName(name: string): string {
  return visible(name.replace(/[\u0000-\u001f]/g, (char) => String.fromCharCode(0x2400 + char.charCodeAt(0))));
}

/** The same for a text, whose lines and tabs stay. */
export function visible(text: string): string {
  return text.replace(/[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (char) => `\u2039U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}\u203a`);
}

/** Capitalises a sentence, but keeps a field's name at its start. */
export function upper(sentence: string): string {
  return /^[a-z]+[A-Z]|^\w+:/.test(sentence) ? sentence : sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
