// The open asks of a task: what the agent wants to do or to know, and the buttons of the person who decides.
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { get, send } from '../api';
import { learned } from '../live';
import { Markdown } from '../markdown';
import { ToolBody } from '../tools/body';
import type { Tool } from '../transcript';
import type { Ask, Task } from '../types';
import { Trouble } from './basic';

export function Asks({ task }: { task: Task }) {
  const [asks, setAsks] = useState<Ask[]>([]);
  // Lists and changes say only that a task waits. Each event of the task is a new record of it, so a second ask is seen too.
  useEffect(() => {
    if (!task.waiting) return setAsks([]);
    const stop = new AbortController();
    get<Ask[]>(`/asks?taskId=${task.taskId}&state=open`, stop.signal).then(setAsks, () => {});
    return () => stop.abort();
  }, [task]);
  return <>{asks.map((ask) => <Card key={ask.id} ask={ask} />)}</>;
}

function Card({ ask }: { ask: Ask }) {
  const [error, setError] = useState<unknown>(null);
  const [reason, setReason] = useState('');
  const [chosen, setChosen] = useState<Record<string, string[]>>({});
  const [own, setOwn] = useState<Record<string, string>>({});
  const answer = (body: unknown) => () => {
    setError(null);
    send('POST', `/ask/${ask.id}/answer`, body).then(() => get<Task>(`/task/${ask.taskId}`)).then(learned).catch(setError);
  };
  const questions = ask.questions ?? [];
  const answers = Object.fromEntries(questions.map(({ question }) => [question, own[question]?.trim() || (chosen[question] ?? [])]));
  const isAnswered = questions.every(({ question }) => answers[question]!.length > 0);
  const message = reason.trim() ? { message: reason.trim() } : {};
  const choose = (question: string, label: string, isMany: boolean) => {
    const before = chosen[question] ?? [];
    const after = !isMany ? [label] : before.includes(label) ? before.filter((one) => one !== label) : [...before, label];
    setChosen({ ...chosen, [question]: after });
  };
  return (
    <section class="ask wrap" aria-label="The agent asks">
      <h3>{ask.kind === 'question' ? 'The agent asks' : ask.kind === 'plan' ? 'The agent has a plan' : `May the agent use ${ask.tool}?`}</h3>
      {ask.description && <p>{ask.description}</p>}
      {ask.kind === 'permission' && (typeof ask.input === 'string' ? <pre class="code" tabIndex={0}>{ask.input}</pre> : <ToolBody tool={callOf(ask)} />)}
      {ask.truncated && <p class="hint">This is only the beginning; the whole call is too long to be shown.</p>}
      {ask.kind === 'plan' && <Markdown text={text(ask.input, 'plan') ?? JSON.stringify(ask.input, null, 2)} />}
      {questions.map((one) => (
        <fieldset key={one.question}>
          <legend>{one.question}</legend>
          {one.options.map((option) => (
            <label key={option.label} title={option.preview}>
              <input
                type={one.multiSelect ? 'checkbox' : 'radio'} name={`${ask.id} ${one.question}`} checked={(chosen[one.question] ?? []).includes(option.label)}
                onChange={() => choose(one.question, option.label, one.multiSelect)}
              /> <b>{option.label}</b> {option.description}
            </label>
          ))}
          <input type="text" aria-label={`Your own answer to: ${one.question}`} placeholder="or in your own words" value={own[one.question] ?? ''} onInput={(event) => setOwn({ ...own, [one.question]: event.currentTarget.value })} />
        </fieldset>
      ))}
      <p class="hint">Open until {new Date(ask.expiresAt).toLocaleString()}{ask.askedBy && <>; asked because of the rule <code>{ask.askedBy}</code></>}</p>
      <Trouble error={error} />
      <div class="actions">
        {ask.kind === 'question'
          ? <button type="button" class="primary" disabled={!isAnswered} onClick={answer({ answers })}>Answer</button>
          : <button type="button" class="primary" onClick={answer({ decision: 'allow' })}>Allow</button>}
        {ask.rule && <button type="button" onClick={answer({ decision: 'allow', remember: 'session' })}>Allow in this session</button>}
        <button type="button" class="danger" onClick={answer({ decision: 'deny', ...message })}>Deny</button>
        <input type="text" aria-label="Reason for the agent" placeholder="reason, if you deny" value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
      </div>
    </section>
  );
}

/** The call that the agent wants to make, in the form in which it is shown once it is made. */
function callOf(ask: Ask): Tool {
  return {
    kind: 'tool', id: 0, at: 0, until: 0, rev: signal(0), tool: ask.tool, toolUseId: ask.id, input: ask.input, result: null, stopped: false, isError: false, cut: false,
    children: [], progress: '', about: '',
  };
}

function text(input: unknown, name: string): string | undefined {
  const value = (input as Record<string, unknown> | null)?.[name];
  return typeof value === 'string' ? value : undefined;
}
