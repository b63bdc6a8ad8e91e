// The foot of a session: questions that wait for an answer, what is queued, the composer, and the button that stops the running task.
import { useEffect, useRef, useState } from 'preact/hooks';
import { send } from '../api';
import type { Task } from '../types';
import { Asks } from './asks';
import { Trouble } from './basic';
import { Composer } from './composer';
import { isFinal } from './exchange';
import type { Follow } from './follow';
import { firstLine } from './tables';

interface Props {
  sessionId: string;
  /** The tasks in their order. */
  tasks: Task[];
  follow: Follow;
}

export function Dock({ sessionId, tasks, follow }: Props) {
  const [first, ...queued] = tasks.filter((task) => !isFinal(task));
  return (
    <div class="dock">
      {follow.away.value && <button type="button" class="to-end" onClick={follow.toEnd}>To the end ↓</button>}
      {first && <Asks key={first.taskId} task={first} />}
      {queued.length > 0 && <Queue tasks={queued} />}
      <Composer session={sessionId} isBusy={first !== undefined} onSent={follow.toEnd} extra={first && <Stop key={first.taskId} task={first} />} />
    </div>
  );
}

/** The tasks that wait for the first one. */
function Queue({ tasks }: { tasks: Task[] }) {
  const [error, setError] = useState<unknown>(null);
  const remove = (task: Task) => {
    setError(null);
    send('POST', `/task/${task.taskId}/abort`).catch(setError);
  };
  return (
    <section class="queue" aria-label="Queued">
      <ol>
        {tasks.map((task) => (
          <li key={task.taskId}>
            <span class="hint">Queued</span><span class="queued-text">{firstLine(task.prompt)}</span>
            <button type="button" class="quiet" onClick={() => remove(task)}>Remove<span class="hidden"> {firstLine(task.prompt)}</span></button>
          </li>
        ))}
      </ol>
      <Trouble error={error} />
    </section>
  );
}

/** The first press ends the turn and keeps the sandbox; the second one kills it. */
function Stop({ task }: { task: Task }) {
  const [presses, setPresses] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const press = () => {
    if (presses > 1) return;
    setPresses(presses + 1);
    setError(null);
    const mode = presses === 0 && task.status === 'running' ? '?mode=interrupt' : '';
    send('POST', `/task/${task.taskId}/abort${mode}`).catch((error: unknown) => {
      setError(error);
      setPresses(presses);
    });
  };
  const current = useRef(press);
  current.current = press;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || event.repeat || event.isComposing || event.defaultPrevented || document.querySelector('dialog[open]')) return;
      event.preventDefault();
      current.current();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <>
      <button type="button" class="danger stop" disabled={presses > 1} onClick={press} title={presses ? 'Stops the sandbox; its files stay' : 'Ends the turn and keeps the sandbox (Esc)'}>
        {presses === 0 ? 'Stop' : presses === 1 ? 'Kill' : 'Killing…'}
      </button>
      {presses === 1 && <span class="hint" role="status">Stopping. Press again to kill the sandbox.</span>}
      <Trouble error={error} />
    </>
  );
}
