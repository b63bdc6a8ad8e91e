import { useState } from 'preact/hooks';
import { Problem, curl, id, send } from '../api';
import { Ago, Badge, Command, Empty, Loading, Trouble } from '../parts/basic';
import { useGet } from '../parts/use';
import { href } from '../route';
import type { Delivery } from '../types';

const EXAMPLE = { sessionId: 'user-123', message: 'What can you do?', async: true, webhook: 'https://example.com/hook' };

export function WebhooksPage() {
  const { value, error, reload } = useGet<Delivery[] | { deliveries: Delivery[] }>('/webhooks');
  const [failure, setFailure] = useState<unknown>(null);
  const [again, setAgain] = useState<string | null>(null);
  const absent = error instanceof Problem && error.isAbsent;
  const deliveries = Array.isArray(value) ? value : value?.deliveries ?? [];
  const replay = async (delivery: Delivery) => {
    setFailure(null);
    try {
      await send('POST', `/webhooks/${id(delivery.id)}/replay`);
      setAgain(delivery.id);
      reload();
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <>
      <div class="toolbar"><h1>Webhooks</h1>{!absent && <button type="button" class="quiet" onClick={reload}>Refresh</button>}</div>
      <Trouble error={failure} />
      {absent ? <Empty title="This server sends no webhooks"><p>A newer one lists here what it sent, and sends it again where you ask.</p></Empty>
        : error ? <Trouble error={error} retry={reload} />
          : !value ? <Loading />
            : !deliveries.length ? <Empty title="Nothing was sent yet"><p>Name an address with a task, and its end is told there:</p><Command text={curl('/task', 'POST', EXAMPLE)} /></Empty>
              : (
                <table class="list">
                  <caption class="hidden">Deliveries, newest first</caption>
                  <thead><tr><th scope="col">Status</th><th scope="col">Address</th><th scope="col">Event</th><th scope="col">Task</th><th scope="col" class="number">Tries</th><th scope="col" class="number">Created</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead>
                  <tbody>
                    {deliveries.map((delivery) => {
                      const task = delivery.taskId ?? delivery.task ?? '';
                      const problem = delivery.lastError ?? delivery.error;
                      const tries = Array.isArray(delivery.attempts) ? delivery.attempts.length : delivery.attempts ?? 0;
                      return (
                        <tr key={delivery.id}>
                          <td data-label="Status"><Badge status={delivery.status} /></td>
                          <td class="title"><span>{delivery.url}</span>{problem && <span class="error-word">{problem}</span>}</td>
                          <td data-label="Event">{delivery.type ?? delivery.event ?? '–'}</td>
                          <td data-label="Task" class="name">{task ? <a href={href('tasks', task)}>{task}</a> : '–'}</td>
                          <td class="number" data-label="Tries">{tries}</td>
                          <td class="number" data-label="Created"><Ago time={delivery.created} /></td>
                          <td class="number"><button type="button" class="quiet" onClick={() => void replay(delivery)}>{again === delivery.id ? 'Sent again' : 'Send again'}<span class="hidden"> to {delivery.url}</span></button></td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              )}
    </>
  );
}
