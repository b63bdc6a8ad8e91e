// One task in a conversation: what a person said, the work folded into one line a step, what the agent said. The same component shows
// it while it runs and afterwards, so nothing moves when it ends.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from '../api';
import { duration, money, words } from '../format';
import { learned } from '../live';
import { taskAddress } from '../route';
import type { Transcript } from '../transcript';
import type { Task } from '../types';
import { Ago, Badge, Trouble, now } from './basic';
import { Fold } from './fold';
import { Candidates, PullRequest } from './repository';
import { Result } from './result';
import { Elapsed, firstLine } from './tables';
import { TaskDetails } from './task-details';
import { useWork } from './use-work';
import { Stream } from './work';

/** Lists and changes have at most this many characters of a prompt. */
const MAX_LISTED_CHARS = 2000;

/** A shorter silence is usual. */
const MIN_SILENCE_MS = 5000;

interface Props {
  task: Task;
  /** The work is shown from the beginning. */
  isOpen: boolean;
  /** The address names this task, and perhaps a step of it. */
  isNamed: boolean;
  step: number;
  onTranscript?: (transcript: Transcript, taskId: string) => void;
}

export const isFinal = (task: Task): boolean => !['queued', 'running'].includes(task.status);

export function Exchange({ task, isOpen, isNamed, step, onTranscript }: Props) {
  // A reader who saw the work keeps seeing it.
  const wasOpen = useRef(isOpen);
  wasOpen.current ||= isOpen;
  return (
    <article class={`exchange ${isNamed ? 'named' : ''}`} id={`task-${task.taskId}`} aria-label={firstLine(task.prompt)}>
      <Said task={task} />
      {wasOpen.current ? <Opened task={task} isNamed={isNamed} step={step} onTranscript={onTranscript} /> : <Closed task={task} />}
    </article>
  );
}

/** What a person said. A list cuts it, and the whole is loaded on request. */
function Said({ task }: { task: Task }) {
  const [whole, setWhole] = useState<Task | null>(null);
  // `truncated` is true if any text of the record was cut, so the length tells which.
  const isCut = (text: string | null) => !whole && !!task.truncated && [...text ?? ''].length >= MAX_LISTED_CHARS;
  const { prompt, context } = whole ?? task;
  return (
    <div class="user-message">
      {context && <details class="context"><summary>Context</summary><pre class="plain">{context}{isCut(context) && '…'}</pre></details>}
      <pre class="plain">{prompt}{isCut(prompt) && '…'}</pre>
      {(isCut(prompt) || isCut(context)) && <button type="button" class="quiet" onClick={() => void get<Task>(`/task/${task.taskId}`).then(setWhole, () => {})}>Show the whole message</button>}
    </div>
  );
}

/** A finished task, whose work is loaded when it is opened. */
function Closed({ task }: { task: Task }) {
  const [open, setOpen] = useState(false);
  if (open) return <Opened task={task} isNamed={false} step={0} />;
  return (
    <>
      <button type="button" class="work-line" aria-expanded="false" onClick={() => setOpen(true)}><Worked task={task} /><span class="hidden"> for {firstLine(task.prompt)}</span></button>
      <Result task={task} text={words(task)} />
      <Foot task={task} transcript={null} isNamed={false} />
    </>
  );
}

function Worked({ task }: { task: Task }) {
  const used = new Map<string, number>();
  for (const tool of task.tools ?? []) used.set(tool, (used.get(tool) ?? 0) + 1);
  return (
    <>
      <b>{isFinal(task) ? task.started ? <>Worked for <Elapsed task={task} /></> : 'Did not start' : task.started ? 'Working' : 'Waiting'}</b>
      {used.size > 0 && <span class="peek">{[...used].map(([tool, calls]) => tool.replace(/^mcp__(.+?)__/, '$1 · ') + (calls > 1 ? ` ×${calls}` : '')).join(', ')}</span>}
    </>
  );
}

function Opened({ task, isNamed, step, onTranscript }: Omit<Props, 'isOpen'>) {
  const timer = useRef(0);
  // The record has the current cost, so it is read again when the agent makes progress.
  const onMove = () => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => void get<Task>(`/task/${task.taskId}`).then(learned, () => {}), 150);
  };
  const { transcript, state, retry } = useWork(task.taskId, task.sessionId, isFinal(task), onMove);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => onTranscript?.(transcript, task.taskId), [transcript]);
  transcript.rev.value;
  // The events have the answer before a list does.
  const whole = { ...task, ...(task.response === undefined && task.output === undefined && transcript.answer) } as Task;
  const text = task.status === 'completed' ? words(whole) : null;
  return (
    <>
      <Fold class="work-fold" open title={<Worked task={task} />}>
        {() => state === 'reading' && !transcript.blocks.length ? <p class="hint">Loading the work…</p>
          : state === 'failed' ? <Trouble error="The work of this task could not be loaded." retry={retry} />
          : <Stream transcript={transcript} answer={text} step={step} addressOf={(step) => taskAddress(task.sessionId, task.taskId, step)} />}
      </Fold>
      <Result task={whole} text={text} />
      <Foot task={task} transcript={transcript} isNamed={isNamed} isLost={state === 'lost'} />
    </>
  );
}

/** The state of the task, in the same place while it runs and afterwards. */
function Foot({ task, transcript, isNamed, isLost = false }: { task: Task; transcript: Transcript | null; isNamed: boolean; isLost?: boolean }) {
  return (
    <>
      {task.pr_url && <PullRequest task={task} address={task.pr_url} />}
      {task.kind === 'repository' && task.status === 'failed' && <Candidates task={task} />}
      <div class="exchange-end">
        <div class="exchange-foot">
          <span role="status" aria-label="Status"><Badge status={task.status} /></span>
          {!isFinal(task) && <Doing task={task} transcript={transcript} isLost={isLost} />}
          {task.cost !== undefined && <span>{money(task.cost)}</span>}
          {task.started && <span><Elapsed task={task} /></span>}
          <Ago time={task.created} />
          <a class="task-link" href={taskAddress(task.sessionId, task.taskId)}>Link<span class="hidden"> to {firstLine(task.prompt)}</span></a>
        </div>
        <TaskDetails task={task} transcript={transcript} isOpen={isNamed} />
      </div>
    </>
  );
}

/** What the task does at the moment, and for how long there was no other event. */
function Doing({ task, transcript, isLost }: { task: Task; transcript: Transcript | null; isLost: boolean }) {
  const doing = isLost ? 'Reconnecting to the events' : task.waiting ? 'Waits for an answer' : transcript?.doing.value || (task.status === 'queued' ? 'Queued' : 'Starting');
  const since = transcript?.moments.last;
  const silent = since ? now.value - since : 0;
  return <span class="doing"><i class="spin" aria-hidden="true" />{doing}{!isLost && silent > MIN_SILENCE_MS && ` for ${duration(Math.floor(silent / 1000) * 1000).replace('.0', '')}`}</span>;
}
