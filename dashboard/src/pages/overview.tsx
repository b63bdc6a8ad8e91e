import { useEffect, useMemo, useState } from 'preact/hooks';
import { count } from '../format';
import { connection, loaded, more, older, sessions, tasks } from '../live';
import { Choice, Empty, Loading, Trouble } from '../parts/basic';
import { Composer } from '../parts/composer';
import { FirstSteps } from '../parts/first-steps';
import { SessionTable, TaskTable, stateOf, summaries } from '../parts/tables';
import { route, setQuery } from '../route';
import type { Status, Task } from '../types';

const STATUSES: Status[] = ['queued', 'running', 'completed', 'failed', 'aborted'];
/** The number of rows shown at first, and added by each "Show more". */
const ROWS = 200;

export function Overview() {
  const { query } = route.value;
  const view = query.get('view') === 'sessions' ? 'sessions' : 'tasks';
  const status = query.get('status') ?? '';
  const text = query.get('q') ?? '';
  const kind = query.get('kind') ?? '';
  const state = query.get('state') ?? '';
  const [rows, setRows] = useState(ROWS);
  const [error, setError] = useState<unknown>(null);
  const all = useMemo(() => [...tasks.value.values()].sort(newest), [tasks.value]);
  const counts = useMemo(() => {
    const counts: Record<string, number> = {};
    for (const task of all) counts[task.status] = (counts[task.status] ?? 0) + 1;
    return counts;
  }, [all]);

  // All unfinished tasks are loaded. The server may have more finished ones.
  const isPartial = (name: Status) => older.value !== null && name !== 'queued' && name !== 'running';

  // Search the records that are not loaded on the server.
  useEffect(() => {
    if ((!text && !status) || view === 'sessions' || !older.value) return;
    const parameters = new URLSearchParams({ limit: '100', ...(text && { q: text }), ...(status && { status }) });
    const timer = setTimeout(() => more(`/tasks?${parameters}`, false).catch(setError), 250);
    return () => clearTimeout(timer);
  }, [text, status, view]);

  const wanted = text.toLowerCase();
  const shown = all.filter((task) =>
    (!status || task.status === status) && (!kind || (task.kind ?? 'session') === kind)
    && (!wanted || [task.prompt, task.sessionId, task.taskId, task.repo, task.branch, task.errorType].some((field) => field?.toLowerCase().includes(wanted))));
  const known = useMemo(() => summaries(tasks.value.values()), [tasks.value]);
  const shownSessions = [...sessions.value.values()]
    .filter((session) => (!wanted || [session.sessionId, session.agent, known.get(session.sessionId)?.first.prompt, known.get(session.sessionId)?.last.prompt].some((field) => field?.toLowerCase().includes(wanted))) && (!state || stateOf(session) === state))
    .sort((a, b) => b.lastActive.localeCompare(a.lastActive));
  const states = [...new Set([...sessions.value.values()].map(stateOf)).add(state)].filter(Boolean).sort();
  const isRepositories = all.some((task) => task.kind === 'repository');

  return (
    <>
      <h1>Overview</h1>
      <Composer />
      {all.length > 0 && <section aria-labelledby="counts">
        <h2 id="counts" class="hidden">Tasks by status</h2>
        <div class="counts">
          {STATUSES.map((name) => (
            <button
              type="button" class={`count ${name}`} aria-pressed={status === name && view === 'tasks'}
              onClick={() => setQuery({ status: status === name ? '' : name, view: '' })}
            >
              <span class="count-number">{count(counts[name] ?? 0)}{isPartial(name) && <span title={`of the latest ${count(all.length)} tasks`}>+</span>}</span>
              <span class="count-name"><i aria-hidden="true" />{name}</span>
            </button>
          ))}
        </div>
      </section>}
      <section aria-label={view === 'tasks' ? 'Tasks' : 'Sessions'} class="listing">
        <div class="toolbar">
          <Choice label="List" value={view} options={[['tasks', 'Tasks'], ['sessions', `Sessions ${count(sessions.value.size)}`]]} onChange={(view) => setQuery({ view: view === 'tasks' ? '' : view })} />
          <input type="search" data-search aria-label={`Search ${view}`} placeholder="Search" value={text} onInput={(event) => setQuery({ q: event.currentTarget.value })} />
          {view === 'tasks' && (
            <select aria-label="Status" value={status} onChange={(event) => setQuery({ status: event.currentTarget.value })}>
              <option value="">All statuses</option>
              {STATUSES.map((name) => <option value={name}>{name}</option>)}
            </select>
          )}
          {view === 'tasks' && isRepositories && (
            <select aria-label="Kind" value={kind} onChange={(event) => setQuery({ kind: event.currentTarget.value })}>
              <option value="">All kinds</option>
              <option value="session">Messages</option>
              <option value="repository">Repository tasks</option>
            </select>
          )}
          {view === 'sessions' && states.length > 0 && (
            <select aria-label="State" value={state} onChange={(event) => setQuery({ state: event.currentTarget.value })}>
              <option value="">All states</option>
              {states.map((name) => <option value={name}>{name}</option>)}
            </select>
          )}
          <Live />
        </div>
        <Trouble error={error} />
        {!loaded.value ? <Loading />
          : view === 'sessions'
            ? shownSessions.length ? <SessionTable sessions={shownSessions.slice(0, rows)} /> : <NoSessions isFiltered={sessions.value.size > 0} />
            : shown.length ? <TaskTable tasks={shown.slice(0, rows)} /> : <NoTasks isFiltered={all.length > 0} />}
        {(view === 'tasks' ? shown : shownSessions).length > rows
          ? <button type="button" class="more" onClick={() => setRows(rows + ROWS)}>Show more</button>
          : view === 'tasks' && older.value && <button type="button" class="more" onClick={() => { setRows(rows + ROWS); more(older.value!, true).catch(setError); }}>Load older tasks</button>}
      </section>
    </>
  );
}

function newest(a: Task, b: Task): number {
  return b.created.localeCompare(a.created) || b.taskId.localeCompare(a.taskId);
}

function Live() {
  const state = connection.value;
  const names = { connecting: 'Connecting', live: 'Live', lost: 'Reconnecting' };
  return <span class={`live ${state}`}><i aria-hidden="true" />{names[state]}</span>;
}

function NoTasks({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered) {
    return <Empty title="No match"><button type="button" onClick={() => setQuery({ q: '', status: '', kind: '' })}>Show all tasks</button></Empty>;
  }
  return <FirstSteps />;
}

function NoSessions({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered) return <Empty title="No match"><button type="button" onClick={() => setQuery({ q: '', state: '' })}>Show all sessions</button></Empty>;
  return <FirstSteps />;
}
