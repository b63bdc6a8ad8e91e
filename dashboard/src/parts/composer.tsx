// The form that submits a task: a message to a session, or a repository task.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Problem, curl, send } from '../api';
import { duration, money, upper } from '../format';
import { sessions } from '../live';
import { go, href } from '../route';
import type { Agent, Task } from '../types';
import { Choice, Copy, Trouble } from './basic';
import { type Kind, OPTIONS, type Values, bodyOf, withoutSecrets } from './submission';
import { useGet } from './use';

/** The initial values of the next composer, from a task to edit and send again. */
const draft = signal<{ kind: Kind; values: Values } | null>(null);

/** Opens the composer with the values of a task. */
export function edit(task: Task): void {
  const context = task.context ?? '';
  draft.value = task.kind === 'repository'
    ? { kind: 'repository', values: { prompt: task.prompt, context, ...(task.repo && { repo: task.repo }) } }
    : { kind: 'session', values: { sessionId: task.sessionId, message: task.prompt, context } };
  if (location.hash === href()) return;
  go();
}

/** Puts a message into the composer of the overview. */
export function prefill(message: string): void {
  draft.value = { kind: 'session', values: { message } };
}

/** A name for a session whose creator gave none. */
function newName(): string {
  return `chat-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => (byte % 36).toString(36)).join('')}`;
}

interface Props {
  /** The session that it replies to. Without one, the form asks for it. */
  session?: string;
  /** A task of the session runs, so the message is queued. */
  isBusy?: boolean;
  onSent?: () => void;
  /** More controls beside the button that sends. */
  extra?: ComponentChildren;
}

export function Composer({ session, isBusy = false, onSent, extra }: Props) {
  const isReply = session !== undefined;
  const [kind, setKind] = useState<Kind>('session');
  const [values, setValues] = useState<Values>({});
  const [error, setError] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const before = useRef<Promise<unknown>>(Promise.resolve());
  const agents = useGet<Agent[]>(isReply ? null : '/agents').value ?? [];
  // A session keeps its first agent.
  const own = kind === 'session' ? sessions.value.get(values['sessionId']?.trim() ?? '')?.agent : undefined;
  const body = useMemo(() => bodyOf(kind, { ...values, ...(isReply && { sessionId: session }), ...(own && { agent: '' }) }), [kind, values, session, own]);
  const agent = agents.find(({ name, default: isDefault }) => (own ?? values['agent'] ? name === (own ?? values['agent']) : isDefault));

  const given = isReply ? null : draft.value;
  useEffect(() => {
    if (!given) return;
    setKind(given.kind);
    setValues(given.values);
    draft.value = null;
    setTimeout(() => form.current?.querySelector<HTMLElement>('[data-composer]')?.focus());
  }, [given]);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy && !isReply) return;
    setBusy(true);
    setError(null);
    const named = kind === 'session' && !body['sessionId'] ? { sessionId: newName() } : {};
    // A reader can write the next reply at once. Replies arrive in the order in which they were sent.
    const answer = before.current.then(() => send<{ taskId: string }>('POST', '/task', { ...body, ...named, async: true }));
    before.current = answer.catch(() => {});
    if (isReply) setValues((values) => ({ ...values, message: '' }));
    try {
      const { taskId } = await answer;
      if (!isReply) go('tasks', taskId);
      onSent?.();
    } catch (error) {
      if (isReply) setValues((now) => ({ ...now, message: [values['message'], now['message']].filter(Boolean).join('\n\n') }));
      const problem = error instanceof Problem ? error : new Problem(0, 'unknown', String(error));
      setError(problem);
      const name = problem.field;
      // The field may be in a section that opens only with this error.
      if (name) setTimeout(() => form.current?.querySelector<HTMLElement>(`[name="${name}"]`)?.focus());
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
  /** A labelled field with its error. */
  const labelled = (name: string, label: string, input: ComponentChildren, size = '') => (
    <div class={`field ${size}`}>
      <label><span>{label}</span>{input}</label>
      {error?.field === name && <p class="field-error" id={`error-${name}`} role="alert">{upper(error!.message.replace(/^\w+: /, ''))}</p>}
    </div>
  );
  const line = (name: string, placeholder: string) => <input {...field(name)} placeholder={placeholder} autoComplete="off" spellcheck={false} />;
  const onKeyDown = (event: KeyboardEvent) => {
    const isReplyKey = isReply && !event.shiftKey && !event.isComposing && (event.target as HTMLElement).matches('[name="message"]') && !matchMedia('(pointer: coarse)').matches;
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey || isReplyKey)) {
      event.preventDefault();
      form.current?.requestSubmit();
    }
  };
  const folded = ['context', 'env', 'webhook', 'secret', ...OPTIONS.map(([name]) => name)];
  const isShown = (name: string | null | undefined) => !!name && !!form.current?.querySelector(`[name="${name}"]`);
  const hints = agentHints(kind, agent);

  return (
    <form class={`composer ${isReply ? 'reply' : ''}`} ref={form} onSubmit={(event) => void submit(event)} onKeyDown={onKeyDown} noValidate aria-label={isReply ? 'Reply' : 'New task'}>
      {!isReply && (
        <div class="composer-head">
          <Choice label="Kind of task" value={kind} options={[['session', 'Message'], ['repository', 'Repository task']]} onChange={(kind) => { setKind(kind); setError(null); }} />
        </div>
      )}
      {kind === 'session' ? (
        <div class="fields">
          {!isReply && (
            <div class="narrow">
              {labelled('sessionId', 'Session', (
                <>
                  <input {...field('sessionId')} list="known-sessions" placeholder="a new one" autoComplete="off" spellcheck={false} />
                  <datalist id="known-sessions">{[...sessions.value.keys()].slice(0, 50).map((id) => <option value={id} />)}</datalist>
                </>
              ))}
              {agents.length > 1 && labelled('agent', 'Agent', (
                <select {...field('agent')} value={own ?? values['agent'] ?? ''} disabled={!!own}>
                  {own && !agents.some(({ name }) => name === own) && <option value={own}>{own}</option>}
                  {[...agents].sort((a, b) => Number(b.default) - Number(a.default)).map(({ name, default: isDefault, error }) => (
                    <option value={isDefault && !own ? '' : name} disabled={!!error}>{name}{error ? ' (broken)' : isDefault ? ' (default)' : ''}</option>
                  ))}
                </select>
              ))}
            </div>
          )}
          {labelled('message', 'Message', (
            <textarea {...field('message')} data-composer rows={isReply ? 1 : agents.length > 1 ? 5 : 3} placeholder={isReply ? isBusy ? 'Queue the next message' : 'Continue this session' : 'What should the agent do? The first message creates the session.'} />
          ), 'grow')}
        </div>
      ) : (
        <>
          {labelled('prompt', 'Task', (
            <textarea {...field('prompt')} data-composer rows={3} placeholder="What should the agent do? It selects the repository, works on a branch and opens a pull request." />
          ))}
          <div class="fields three">
            {labelled('repo', 'Repository', line('repo', 'OWNER/NAME, or selected by the prompt'))}
            {labelled('base', 'From branch', line('base', 'the default branch'))}
            {labelled('branch', 'Work on branch', line('branch', 'a new branch, claude/…'))}
          </div>
        </>
      )}
      {agent && kind === 'session' && !isReply && <AgentNote agent={agent} isOwn={!!own} />}
      <details class="options" open={folded.includes(error?.field ?? '') || undefined}>
        <summary>Options</summary>
        <div class="fields four">
          {OPTIONS.map(([name, label, hint, type]) => labelled(name, label, <input {...field(name)} inputMode={type === 'number' ? 'decimal' : undefined} placeholder={hints[name] ?? hint} autoComplete="off" spellcheck={false} />))}
        </div>
        <div class="fields two">
          {labelled('context', 'Context', <textarea {...field('context')} rows={2} placeholder="Placed before the message, under its own heading" />)}
          {labelled('env', 'Environment, kept secret', <textarea {...field('env')} class="mono" rows={2} placeholder={(agent?.env.length ? agent.env : ['NAME']).map((name) => `${name}=value`).join('\n')} autoComplete="off" spellcheck={false} />)}
          {labelled('webhook', 'Webhook, called at the end', line('webhook', 'https://example.com/hook'))}
          {labelled('secret', 'Webhook’s secret', <input {...field('secret')} type="password" placeholder="whsec_…, or the server’s" autoComplete="off" spellcheck={false} />)}
        </div>
      </details>
      {error && !isShown(error?.field) && <Trouble error={error} />}
      <div class="actions">
        <button type="submit" class="primary" disabled={busy && !isReply}>{busy && !isReply ? 'Sending…' : isReply ? isBusy ? 'Queue' : 'Send' : kind === 'session' ? 'Send message' : 'Start task'}</button>
        {extra}
        <Copy label="Copy as cURL" text={() => curl('/task', 'POST', withoutSecrets(body))} />
        <span class="hint keys-hint">{!isReply && <kbd>Ctrl</kbd>} <kbd>Enter</kbd></span>
      </div>
    </form>
  );
}

/** The agent's description and the variables that it needs. */
function AgentNote({ agent, isOwn }: { agent: Agent; isOwn: boolean }) {
  const sentences = [
    isOwn && `This session’s agent is ${agent.name}`,
    agent.description,
    agent.env.length > 0 && `needs ${agent.env.join(', ')} in its environment`,
  ].filter(Boolean);
  if (agent.error) return <p class="field-error">{agent.name} cannot be used: {agent.error}</p>;
  return sentences.length ? <p class="hint agent-note">{upper(sentences.join('; '))}</p> : null;
}

/** The agent's defaults, which the empty fields show. */
function agentHints(kind: Kind, agent: Agent | undefined): Record<string, string> {
  if (!agent || kind === 'repository') return {};
  return {
    model: agent.model,
    maxTurns: String(agent.maxTurns),
    timeoutMs: `${agent.timeoutMs} (${duration(agent.timeoutMs)})`,
    ...(agent.maxCostUsd !== null && { maxCostUsd: money(agent.maxCostUsd).slice(1) }),
  };
}
