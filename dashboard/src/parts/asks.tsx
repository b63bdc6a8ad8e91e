// The open asks of a task: what the agent wants to do or to know, and the buttons of the person who decides.
import { useState } from 'preact/hooks';
import { send } from '../api';
import { Markdown } from '../markdown';
import type { Ask, Task } from '../types';
import { Ago, Trouble } from './basic';

export function Asks({ task, reload }: { task: Task; reload: () => Promise<void> }) {
  return <>{(task.asks ?? []).map((ask) => <Card key={ask.id} ask={ask} reload={reload} />)}</>;
}

function Card({ ask, reload }: { ask: Ask; reload: () => Promise<void> }) {
  const [error, setError] = useState<unknown>(null);
  const [reason, setReason] = useState('');
  const [chosen, setChosen] = useState<Record<string, string[]>>({});
  const [own, setOwn] = useState<Record<string, string>>({});
  const answer = (body: unknown) => () => {
    setError(null);
    send('POST', `/ask/${ask.id}/answer`, body).then(() => reload(), setError);
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
    <section class="banner warn ask" aria-label="The agent asks">
      <h3>{ask.kind === 'question' ? 'The agent asks' : ask.kind === 'plan' ? 'The agent has a plan' : `May the agent use ${ask.tool}?`}</h3>
      {ask.kind === 'permission' && <pre class="code" tabIndex={0}>{subject(ask)}</pre>}
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
      <p class="hint">Expires <Ago time={ask.expiresAt} />{ask.askedBy && <>; asked because of the rule <code>{ask.askedBy}</code></>}</p>
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

/** The part of a call that a person decides about. */
function subject(ask: Ask): string {
  return (ask.tool === 'Bash' && text(ask.input, 'command')) || (typeof ask.input === 'string' ? ask.input : JSON.stringify(ask.input, null, 2));
}

function text(input: unknown, name: string): string | undefined {
  const value = (input as Record<string, unknown> | null)?.[name];
  return typeof value === 'string' ? value : undefined;
}
