// Hands in a task: a message to a session, or work on a repository.
import { useMemo, useRef, useState } from 'preact/hooks';
import { Problem, curl, send } from '../api';
import { sessions } from '../live';
import { go } from '../route';
import type { Agent } from '../types';
import { Choice, Copy, Trouble, upper } from './basic';
import { useGet } from './use';

type Kind = 'session' | 'repository';
type Values = Record<string, string>;

const OPTIONS = [
  ['model', 'Model', 'the server’s default', 'text'],
  ['maxTurns', 'Most turns', '10', 'number'],
  ['timeoutMs', 'Time limit, ms', '600000', 'number'],
  ['maxCostUsd', 'Most dollars', 'no limit', 'number'],
] as const;

/** `session` set: the reply box of that session. */
export function Composer({ session }: { session?: string }) {
  const [kind, setKind] = useState<Kind>('session');
  const [values, setValues] = useState<Values>({});
  const [error, setError] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const agents = useGet<Agent[]>(session === undefined ? '/agents' : null);
  const body = useMemo(() => bodyOf(session === undefined ? kind : 'session', { ...values, ...(session !== undefined && { sessionId: session }) }), [kind, values, session]);
  const isReply = session !== undefined;

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      const { taskId, id } = await send<{ taskId?: string; id: string }>('POST', '/task', { ...body, async: true });
      setValues((before) => ({ ...before, message: '', prompt: '' }));
      if (!isReply) go('tasks', taskId ?? id);
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, 'unknown', String(error));
      setError(problem);
      const field = problem.field && form.current?.querySelector<HTMLElement>(`[name="${problem.field}"]`);
      if (field) field.focus();
    } finally {
      setBusy(false);
    }
  };
  const field = (name: string) => ({
    name,
    value: values[name] ?? '',
    onInput: (event: Event) => {
      const { value } = event.target as HTMLInputElement;
      setValues((before) => ({ ...before, [name]: value }));
    },
    'aria-invalid': error?.field === name ? ('true' as const) : undefined,
    'aria-describedby': error?.field === name ? `error-${name}` : undefined,
  });
  const complaint = (name: string) =>
    error?.field === name && <p class="complaint" id={`error-${name}`} role="alert">{upper(error.message.replace(/^\w+: /, ''))}</p>;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.current?.requestSubmit();
    }
  };
  const shown = new Set(['sessionId', 'message', 'prompt', 'repo', 'base', 'branch', 'context', 'agent', ...OPTIONS.map(([name]) => name)]);

  return (
    <form class={`composer ${isReply ? 'reply' : ''}`} ref={form} onSubmit={(event) => void submit(event)} onKeyDown={onKeyDown} noValidate aria-label={isReply ? 'Reply' : 'New task'}>
      {!isReply && (
        <div class="composer-head">
          <Choice label="Kind of task" value={kind} options={[['session', 'Message'], ['repository', 'Repository task']]} onChange={(kind) => { setKind(kind); setError(null); }} />
        </div>
      )}
      {kind === 'session' || isReply ? (
        <div class="fields">
          {!isReply && (
            <div class="field narrow"><label>
              <span>Session</span>
              <input {...field('sessionId')} list="known-sessions" placeholder="user-123" autoComplete="off" spellcheck={false} />
              <datalist id="known-sessions">{[...sessions.value.keys()].slice(0, 50).map((id) => <option value={id} />)}</datalist></label>{complaint('sessionId')}
            </div>
          )}
          <div class="field grow"><label>
            <span>Message</span>
            <textarea {...field('message')} data-composer rows={isReply ? 2 : 3} placeholder={isReply ? 'Go on with this session' : 'What should the agent do? The session begins with its first message.'} /></label>{complaint('message')}
          </div>
        </div>
      ) : (
        <>
          <div class="field"><label>
            <span>Task</span>
            <textarea {...field('prompt')} data-composer rows={3} placeholder="What is to be done? The agent finds the repository, works on a branch and opens a pull request." /></label>{complaint('prompt')}
          </div>
          <div class="fields three">
            {([['repo', 'Repository', 'found by the agent'], ['base', 'From branch', 'the default one'], ['branch', 'Work on branch', 'claude/…']] as const).map(([name, label, hint]) => (
              <div class="field"><label><span>{label}</span><input {...field(name)} placeholder={hint} autoComplete="off" spellcheck={false} /></label>{complaint(name)}</div>
            ))}
          </div>
        </>
      )}
      <details class="options" open={OPTIONS.some(([name]) => error?.field === name) || error?.field === 'context' || undefined}>
        <summary>Options</summary>
        <div class="fields four">
          {agents.value && agents.value.length > 1 && kind === 'session' && (
            <div class="field"><label>
              <span>Agent</span>
              <select {...field('agent')}>
                <option value="">{agents.value.find((agent) => agent.default)?.name ?? 'default'}</option>
                {agents.value.filter((agent) => !agent.default).map((agent) => <option value={agent.name}>{agent.name}</option>)}
              </select></label>{complaint('agent')}
            </div>
          )}
          {OPTIONS.map(([name, label, hint, type]) => (
            <div class="field"><label>
              <span>{label}</span>
              <input {...field(name)} inputMode={type === 'number' ? 'decimal' : undefined} placeholder={hint} autoComplete="off" spellcheck={false} /></label>{complaint(name)}
            </div>
          ))}
        </div>
        <div class="field"><label><span>Context</span><textarea {...field('context')} rows={2} placeholder="Put before the message, under a heading of its own" /></label>{complaint('context')}</div>
      </details>
      {error && !(error.field && shown.has(error.field)) && <Trouble error={error} />}
      <div class="actions">
        <button type="submit" class="primary" disabled={busy}>{busy ? 'Sending…' : isReply ? 'Send' : kind === 'session' ? 'Send message' : 'Start task'}</button>
        <Copy label="Copy as cURL" text={() => curl('/task', 'POST', body)} />
        <span class="hint keys-hint"><kbd>Ctrl</kbd> <kbd>Enter</kbd></span>
      </div>
    </form>
  );
}

/** What is written, without what is not. A number that is none goes as it is: the server says what it may be. */
function bodyOf(kind: Kind, values: Values): Record<string, unknown> {
  const names = kind === 'session' ? ['sessionId', 'message', 'agent'] : ['prompt', 'repo', 'base', 'branch'];
  const body: Record<string, unknown> = {};
  for (const name of [...names, 'context', ...OPTIONS.map(([name]) => name)]) {
    const value = values[name]?.trim();
    if (!value) continue;
    const isNumber = OPTIONS.some(([option, , , type]) => option === name && type === 'number');
    body[name] = isNumber && Number.isFinite(Number(value)) ? Number(value) : value;
  }
  if (kind === 'session') body['message'] ??= '';
  else body['prompt'] ??= '';
  return body;
}
