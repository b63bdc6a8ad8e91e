// The open asks of a task: what the agent wants to do or to know, and the buttons of the person who decides.
import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { Problem, get, send } from '../api';
import { visible } from '../format';
import { learned } from '../live';
import { Markdown } from '../markdown';
import { Data, ToolBody } from '../tools/body';
import type { Tool } from '../transcript';
import type { Ask, Task } from '../types';
import { Trouble } from './basic';
import { useGet } from './use';

export function Asks({ task }: { task: Task }) {
  // Lists and changes say only that a task waits. Each change of the task is a new record of it, so a second ask is seen too.
  const { value, error, reload } = useGet<Ask[]>(task.waiting ? `/asks?taskId=${task.taskId}&state=open` : null, task);
  if (!task.waiting) return null;
  return <>{error ? <Trouble error={error} retry={reload} /> : null}{value?.map((ask) => <Card key={ask.id} ask={ask} reload={reload} />)}</>;
}

function Card({ ask, reload }: { ask: Ask; reload: () => void }) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [reason, setReason] = useState('');
  const [chosen, setChosen] = useState<Record<string, string[]>>({});
  const [own, setOwn] = useState<Record<string, string>>({});
  const answer = (body: unknown) => async () => {
    setError(null);
    setBusy(true);
    try {
      await send('POST', `/ask/${ask.id}/answer`, body);
      learned(await get<Task>(`/task/${ask.taskId}`));
    } catch (error) {
      setError(error);
      // Somebody else has decided.
      if (error instanceof Problem && error.status === 409) reload();
    } finally {
      setBusy(false);
    }
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
      <h3>{ask.kind === 'question' ? 'The agent asks' : ask.kind === 'plan' ? 'The agent has a plan' : `May the agent use ${visible(ask.tool)}?`}</h3>
      {ask.description && <p>{visible(ask.description)}</p>}
      {ask.kind === 'permission' && <Call ask={ask} />}
      {ask.truncated && <p class="hint">This is only the beginning; the whole call is too long to be shown.</p>}
      {ask.kind === 'plan' && <Markdown text={visible(text(ask.input, 'plan') ?? JSON.stringify(ask.input, null, 2))} />}
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
          ? <button type="button" class="primary" disabled={busy || !isAnswered} onClick={answer({ answers })}>Answer</button>
          : <button type="button" class="primary" disabled={busy} onClick={answer({ decision: 'allow' })}>Allow</button>}
        {ask.rule && <button type="button" disabled={busy} onClick={answer({ decision: 'allow', remember: 'session' })}>Allow in this session</button>}
        <button type="button" class="danger" disabled={busy} onClick={answer({ decision: 'deny', ...message })}>Deny</button>
        <input type="text" aria-label="Reason for the agent" placeholder="reason, if you deny" value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
      </div>
    </section>
  );
}

/** The inputs that the form of a tool shows. The others stand below it, because a person decides about the whole call. */
const SHOWN: Record<string, string[]> = {
  Bash: ['command', 'description'],
  Edit: ['file_path', 'old_string', 'new_string'],
  MultiEdit: ['file_path', 'edits'],
  Write: ['file_path', 'content'],
};

/** The call that the agent wants to make: in the form in which it is shown once it is made, or as data. */
function Call({ ask }: { ask: Ask }) {
  const shown = SHOWN[ask.tool];
  const input = allVisible(ask.input);
  if (!shown || typeof input !== 'object' || input === null) return <Data name="Input" value={input} />;
  const rest = Object.fromEntries(Object.entries(input).filter(([name]) => !shown.includes(name)));
  return <><ToolBody tool={{ ...NO_CALL, tool: ask.tool, toolUseId: ask.id, input }} />{Object.keys(rest).length > 0 && <Data name="Also" value={rest} />}</>;
}

const NO_CALL: Tool = {
  kind: 'tool', id: 0, at: 0, until: 0, rev: signal(0), tool: '', toolUseId: '', input: null, result: null, stopped: false, isError: false, cut: false,
  children: [], progress: '', about: '',
};

/** A value in whose texts invisible characters are visible. */
function allVisible(value: unknown): unknown {
  if (typeof value === 'string') return visible(value);
  if (Array.isArray(value)) return value.map(allVisible);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [visible(name), allVisible(one)]));
}

function text(input: unknown, name: string): string | undefined {
  const value = (input as Record<string, unknown> | null)?.[name];
  return typeof value === 'string' ? value : undefined;
}
