// Converts the form into the body of POST /task.

export type Kind = 'session' | 'repository';
export type Values = Record<string, string>;

/** Name, label, placeholder and type of each option. */
export const OPTIONS = [
  ['model', 'Model', 'the server’s default', 'text'],
  ['maxTurns', 'Max turns', 'the server’s default', 'number'],
  ['timeoutMs', 'Time limit, ms', 'the server’s default', 'number'],
  ['maxCostUsd', 'Max cost, USD', 'no limit', 'number'],
  ['retry', 'Retries after a failure', '0', 'number'],
] as const;

/** Builds the body from the fields that are filled in. Invalid values are sent unchanged, and the server names the error. */
export function bodyOf(kind: Kind, values: Values): Record<string, unknown> {
  const names = kind === 'session' ? ['sessionId', 'message', 'agent'] : ['prompt', 'repo', 'base', 'branch'];
  const body: Record<string, unknown> = {};
  for (const name of [...names, 'context', ...OPTIONS.map(([name]) => name)]) {
    const value = values[name]?.trim();
    if (!value) continue;
    const isNumber = OPTIONS.some(([option, , , type]) => option === name && type === 'number');
    body[name] = isNumber && Number.isFinite(Number(value)) ? Number(value) : value;
  }
  if (values['env']?.trim()) body['env'] = variables(values['env']);
  const [url, secret] = [values['webhook']?.trim(), values['secret']?.trim()];
  if (url || secret) body['webhook'] = secret ? { url: url ?? '', secret } : url;
  if (kind === 'session') body['message'] ??= '';
  else body['prompt'] ??= '';
  return body;
}

/** Parses `NAME=value` lines, as in a .env file. */
function variables(text: string): Record<string, string> {
  const lines = text.split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => {
    const at = line.indexOf('=');
    return at < 0 ? [line, ''] : [line.slice(0, at).trim(), unquoted(line.slice(at + 1).trim())];
  }));
}

function unquoted(value: string): string {
  return /^(["']).*\1$/s.test(value) ? value.slice(1, -1) : value;
}

/** Masks secrets, because people paste the copied command into chats. */
export function withoutSecrets(body: Record<string, unknown>): Record<string, unknown> {
  const copy = { ...body };
  if (copy['env']) copy['env'] = Object.fromEntries(Object.keys(copy['env']).map((name) => [name, '…']));
  if (copy['webhook'] && typeof copy['webhook'] === 'object') copy['webhook'] = { ...copy['webhook'], secret: '…' };
  return copy;
}
