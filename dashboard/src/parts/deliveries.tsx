// Past and pending deliveries of webhooks.
import { useEffect, useState } from 'preact/hooks';
import { id, send } from '../api';
import { ahead, clock, duration } from '../format';
import { firstLine } from './tables';
import { tasks } from '../live';
import { href } from '../route';
import type { Delivery } from '../types';
import { Ago, Badge, Trouble, now } from './basic';

/** The time between a due attempt and the reload of the list. An attempt takes at most 10 seconds. */
const AFTER_MS = 1500;
const MAX_WAIT_MS = 60_000;

interface Props {
  deliveries: Delivery[];
  reload: () => void;
  /** True if all deliveries belong to one task. */
  ofTask?: boolean;
}

export function Deliveries({ deliveries, reload, ofTask = false }: Props) {
  const [failure, setFailure] = useState<unknown>(null);
  useEffect(() => {
    // Reload only for pending deliveries, when the next attempt is due.
    const due = deliveries.filter(({ status }) => status === 'pending').map(({ nextAttempt }) => (nextAttempt ? Date.parse(nextAttempt) : 0));
    if (!due.length) return;
    const wait = Math.min(MAX_WAIT_MS, Math.max(0, Math.min(...due) - Date.now()) + AFTER_MS);
    const timer = setTimeout(reload, wait);
    return () => clearTimeout(timer);
  }, [deliveries]);
  const replay = async (delivery: Delivery) => {
    setFailure(null);
    await send('POST', `/webhooks/${id(delivery.id)}/replay`).then(reload, setFailure);
  };
  return (
    <>
      <Trouble error={failure} />
      <table class="list deliveries">
        <caption class="hidden">Deliveries, newest first</caption>
        <thead><tr><th scope="col">Status</th><th scope="col">Address</th><th scope="col">Event</th>{!ofTask && <th scope="col">Task</th>}<th scope="col" class="number">Next</th><th scope="col" class="number">Created</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead>
        <tbody>
          {deliveries.map((delivery) => (
            <tr key={delivery.id}>
              <td data-label="Status"><Badge status={delivery.status} /></td>
              <td class="title"><span title={delivery.url}>{delivery.url}</span><Problem delivery={delivery} /><Attempts delivery={delivery} /></td>
              <td data-label="Event">{delivery.type}</td>
              {!ofTask && <td data-label="Task" class="name"><a href={href('tasks', delivery.taskId)}>{nameOf(delivery.taskId)}</a></td>}
              <td class="number" data-label="Next">{delivery.status === 'pending' && delivery.nextAttempt ? <time dateTime={delivery.nextAttempt}>{ahead(delivery.nextAttempt, now.value)}</time> : <span class="none">–</span>}</td>
              <td class="number" data-label="Created"><Ago time={delivery.created} /></td>
              <td class="number"><button type="button" class="quiet" onClick={() => void replay(delivery)}>{delivery.status === 'pending' ? 'Send now' : 'Send again'}<span class="hidden"> to {delivery.url}</span></button></td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

/** The reason why the last attempt failed. */
function Problem({ delivery }: { delivery: Delivery }) {
  const last = delivery.attempts.at(-1);
  if (delivery.status === 'delivered' || !last) return null;
  return <span class="error-text">{outcome(last)}</span>;
}

function Attempts({ delivery: { attempts } }: { delivery: Delivery }) {
  if (!attempts.length) return null;
  return (
    <details class="attempts">
      <summary>{attempts.length} {attempts.length === 1 ? 'attempt' : 'attempts'}</summary>
      <ol>{attempts.map((attempt) => <li><time dateTime={attempt.time}>{clock(attempt.time)}</time> {outcome(attempt)}, {duration(attempt.durationMs)}</li>)}</ol>
    </details>
  );
}

function outcome({ status, error }: Delivery['attempts'][number]): string {
  return error ?? (status === null ? 'no answer' : `answered ${status}`);
}

function nameOf(taskId: string): string {
  const task = tasks.value.get(taskId);
  return task ? firstLine(task.prompt) : taskId;
}
