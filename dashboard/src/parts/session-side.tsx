// What a session is, beside its conversation: its plan, its facts, its actions.
import { useState } from 'preact/hooks';
import { curl, id, send } from '../api';
import { money } from '../format';
import { go, setQuery } from '../route';
import { Checklist, itemsOf } from '../tools/checklist';
import type { Transcript } from '../transcript';
import type { Session, Task } from '../types';
import { Ago, Badge, Confirm, Copy, Fact } from './basic';
import { Meter } from './chart';
import { stateOf } from './tables';

interface Props {
  session: Session;
  tasks: Task[];
  /** There are older tasks than these. */
  isPartial: boolean;
  reload: () => void;
}

export function SessionFacts({ session, tasks, isPartial, reload }: Props) {
  const [asking, setAsking] = useState<'reset' | 'delete' | null>(null);
  const { sessionId } = session;
  const last = tasks.findLast((task) => task.started !== null) ?? tasks.at(-1);
  const repository = tasks.find((task) => task.kind === 'repository');
  const cost = tasks.reduce((sum, task) => sum + (task.cost ?? 0), 0);
  return (
    <section class="session-facts" aria-label="Session">
      <dl class="facts">
        <Fact name="Sandbox"><Badge status={stateOf(session)} /></Fact>
        {session.agent && !repository && <Fact name="Agent">{session.agent}</Fact>}
        {repository?.repo && <Fact name="Repository">{repository.repo}</Fact>}
        {last && <Fact name="Model">{last.scripted ? 'scripted' : last.model}</Fact>}
        <Fact name={isPartial ? `Cost of ${tasks.length} tasks` : 'Cost'}><span>{money(cost)}{last?.maxCostUsd ? <Budget task={last} limit={last.maxCostUsd} /> : null}</span></Fact>
        <Fact name="Files"><button type="button" class="link" onClick={() => setQuery({ view: 'files' }, true)}>Browse the workspace</button></Fact>
        <Fact name="Turns">{session.turns}</Fact>
        {session.credential && <Fact name="Credential">{session.credential === 'session' ? 'its own' : 'the operator’s'}</Fact>}
        <Fact name="Active"><Ago time={session.lastActive} /></Fact>
        <Fact name="Created"><Ago time={session.created} /></Fact>
        <Fact name="Id"><code>{sessionId}</code></Fact>
      </dl>
      <div class="actions">
        <button type="button" onClick={() => setAsking('reset')}>Reset</button>
        <button type="button" class="danger" onClick={() => setAsking('delete')}>Delete</button>
        <Copy label="Copy as cURL" text={() => curl(`/session/${id(sessionId)}`)} />
      </div>
      {asking === 'reset' && (
        <Confirm title="Reset this session?" action="Reset session" onClose={() => setAsking(null)} onConfirm={async () => { await send('POST', `/session/${id(sessionId)}/reset`); reload(); }}>
          <p>All its tasks are aborted, and the template's files are restored. <code>env</code> stays.</p>
        </Confirm>
      )}
      {asking === 'delete' && (
        <Confirm title="Delete this session?" action="Delete session" onClose={() => setAsking(null)} onConfirm={async () => { await send('DELETE', `/session/${id(sessionId)}`); go(); }}>
          <p><b>{sessionId}</b>: its container, files, conversation and events are removed. This cannot be undone.</p>
        </Confirm>
      )}
    </section>
  );
}

/** The cost of a task against its limit. */
function Budget({ task, limit }: { task: Task; limit: number }) {
  return <span class="budget">{money(task.cost ?? 0)} of {money(limit)} in the last task <Meter value={task.cost ?? 0} of={limit} label={money(limit)} /></span>;
}

/** The agent's plan, from the tasks that the page has followed. It stays in view and ticks. */
export function Plan({ transcripts }: { transcripts: Transcript[] }) {
  for (const { calls } of transcripts) calls.value;
  const items = itemsOf(transcripts.flatMap((transcript) => transcript.toolCalls()));
  if (!items.length) return null;
  const done = items.filter(({ state }) => state === 'done').length;
  const current = items.find(({ state }) => state === 'doing');
  return (
    <section class="session-plan" aria-label="Plan">
      <details open={innerWidth > 1100}>
        <summary><b>Plan</b> <span class="hint">{done} of {items.length}</span>{current && <span class="peek">{current.title}</span>}</summary>
        <Checklist items={items} />
      </details>
    </section>
  );
}
