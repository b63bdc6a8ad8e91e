import { useState } from 'preact/hooks';
import { call, curl, nextPage } from '../api';
import { Choice, Command, Copy, Empty, Loading, Trouble } from '../parts/basic';
import { Deliveries } from '../parts/deliveries';
import { useLoad } from '../parts/use';
import { route, setQuery } from '../route';
import type { Delivery } from '../types';

const EXAMPLE = { sessionId: 'user-123', message: 'What can you do?', async: true, webhook: { url: 'https://example.com/hook', secret: 'whsec_…' } };
const STATUSES = [['', 'All'], ['pending', 'Pending'], ['delivered', 'Delivered'], ['failed', 'Failed']] as const;
const PAGE = 100;

export function WebhooksPage() {
  const status = route.value.query.get('status') ?? '';
  const path = `/webhooks?limit=${PAGE}${status && `&status=${status}`}`;
  const { value, error, reload } = useLoad(path, page);
  const [more, setMore] = useState<{ path: string; deliveries: Delivery[]; next: string | null } | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const added = more?.path === path ? more : null;
  const deliveries = [...value?.deliveries ?? [], ...added?.deliveries ?? []];
  const next = added ? added.next : value?.next;
  const older = () => page(next!).then((found) => setMore({ path, deliveries: [...added?.deliveries ?? [], ...found.deliveries], next: found.next }), setFailure);

  return (
    <>
      <h1>Webhooks</h1>
      <div class="toolbar">
        <Choice label="Status" value={status} options={STATUSES} onChange={(status) => setQuery({ status })} />
        <button type="button" class="quiet" onClick={reload}>Refresh</button>
        <Copy label="Copy as cURL" text={() => curl(path)} />
      </div>
      <Trouble error={failure} />
      {error ? <Trouble error={error} retry={reload} />
        : !value ? <Loading />
          : deliveries.length ? <Deliveries deliveries={deliveries} reload={reload} />
            : status ? <Empty title={`No delivery is ${status}`}><button type="button" onClick={() => setQuery({ status: '' })}>Show all deliveries</button></Empty>
              : <Empty title="No deliveries yet"><p>Submit a task with a webhook address, and the server posts its result there:</p><Command text={curl('/task', 'POST', EXAMPLE)} /></Empty>}
      {next && <button type="button" class="more" onClick={() => void older()}>Load older deliveries</button>}
    </>
  );
}

async function page(path: string, signal?: AbortSignal): Promise<{ deliveries: Delivery[]; next: string | null }> {
  const answer = await call(path, { signal });
  return { deliveries: (await answer.json()) as Delivery[], next: nextPage(answer) };
}
