// What a task is and cost, its actions, and its webhooks.
import { useState } from 'preact/hooks';
import { curl, download, send } from '../api';
import { money, tokens } from '../format';
import { go } from '../route';
import type { Transcript } from '../transcript';
import type { Delivery, Task } from '../types';
import { Ago, Copy, Fact, Trouble } from './basic';
import { edit } from './composer';
import { Deliveries } from './deliveries';
import { Fold } from './fold';
import { Elapsed } from './tables';
import { Timeline } from './timeline';
import { useGet } from './use';

interface Props {
  task: Task;
  /** `null` if the work is not loaded. */
  transcript: Transcript | null;
  isOpen: boolean;
}

export function TaskDetails({ task, transcript, isOpen }: Props) {
  return <Fold class="task-details" open={isOpen} title={<b>Details</b>}>{() => <Content task={task} transcript={transcript} />}</Fold>;
}

function Content({ task, transcript }: Omit<Props, 'isOpen'>) {
  const [failure, setFailure] = useState<unknown>(null);
  const isFinal = task.finished !== null;
  const attempt = (work: () => Promise<unknown>) => () => {
    setFailure(null);
    work().catch(setFailure);
  };
  const retry = async () => go('tasks', (await send<{ taskId: string }>('POST', `/task/${task.taskId}/retry`)).taskId);
  const body = task.kind === 'repository'
    ? { prompt: task.prompt, ...(task.repo && { repo: task.repo }), ...(task.context && { context: task.context }) }
    : { sessionId: task.sessionId, message: task.prompt, ...(task.context && { context: task.context }) };
  return (
    <>
      <dl class="facts">
        <Fact name="Cost">{money(task.cost)}{task.maxCostUsd !== null && <span class="hint"> of {money(task.maxCostUsd)}</span>}</Fact>
        <Fact name="Duration"><Elapsed task={task} /></Fact>
        {task.usage && <Fact name="Tokens">{tokens(task.usage)}</Fact>}
        <Fact name="Model">{task.scripted ? <>scripted, not {task.model}</> : task.model}</Fact>
        {task.stage && <Fact name="Stage">{task.stage}</Fact>}
        {task.repo && !task.pr_url && <Fact name="Repository">{task.repo}</Fact>}
        {task.branch && !task.pr_url && <Fact name="Branch"><code>{task.branch}</code></Fact>}
        <Fact name="Created"><Ago time={task.created} /></Fact>
        <Fact name="Task"><code>{task.taskId}</code></Fact>
      </dl>
      {transcript && <Timeline transcript={transcript} task={task} />}
      <div class="actions">
        {isFinal && task.status !== 'completed' && <button type="button" class="primary" onClick={attempt(retry)}>Retry</button>}
        {isFinal && <button type="button" onClick={() => edit(task)}>Edit and send</button>}
        <Copy label="Copy as cURL" text={() => curl('/task', 'POST', body)} />
        <button type="button" class="quiet" onClick={attempt(() => download(`/task/${task.taskId}/logs?format=ndjson`, `task-${task.taskId}.ndjson`))}>Download NDJSON</button>
      </div>
      <Trouble error={failure} />
      <TaskDeliveries taskId={task.taskId} isFinal={isFinal} />
    </>
  );
}

/** The webhook deliveries of a task. */
function TaskDeliveries({ taskId, isFinal }: { taskId: string; isFinal: boolean }) {
  const { value, reload } = useGet<Delivery[]>(`/webhooks?task=${taskId}`, isFinal);
  if (!value?.length) return null;
  return (
    <section class="task-deliveries" aria-label="Webhooks">
      <h3>Webhooks</h3>
      <Deliveries deliveries={value} reload={reload} ofTask />
    </section>
  );
}
