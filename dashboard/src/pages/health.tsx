import { useEffect, useState } from 'preact/hooks';
import { Problem, curl, get, key } from '../api';
import { bytes, count, withoutErrno } from '../format';
import { connection } from '../live';
import { Ago, Badge, Copy, Empty, Fact, Loading, Sentence, Trouble } from '../parts/basic';
import { Meter } from '../parts/chart';
import { href } from '../route';
import type { Readiness, Sandboxes } from '../types';

const EVERY_MS = 5000;

export function HealthPage() {
  const [ready, setReady] = useState<Readiness | null>(null);
  const [found, setFound] = useState<Sandboxes | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [hidden, setHidden] = useState(false);
  useEffect(() => {
    const stop = new AbortController();
    const look = async () => {
      // The server measures memory and CPU on each request, so request them only while the page is visible.
      if (document.hidden) return;
      await readiness(stop.signal).then((value) => { setReady(value); setError(null); }, (error: unknown) => !stop.signal.aborted && setError(error));
      await get<Sandboxes>('/sandboxes', stop.signal).then(
        (value) => { setFound(value); setError(null); },
        (error: unknown) => {
          if (stop.signal.aborted) return;
          if (error instanceof Problem && error.status === 403) setHidden(true);
          else setError(error);
        },
      );
    };
    void look();
    const timer = setInterval(() => void look(), EVERY_MS);
    return () => { stop.abort(); clearInterval(timer); };
  }, [connection.value === 'lost']);

  const isAway = connection.value === 'lost' || (error instanceof Problem && error.status === 0);

  return (
    <>
      <h1>Health</h1>
      <Trouble error={ready?.ready === false ? null : error} />
      {!ready ? !error && <Loading /> : (
        <section aria-labelledby="checks" class={isAway ? 'stale' : ''}>
          <h2 id="checks">{isAway ? 'Before the server went away' : ready.ready ? 'Ready for tasks' : 'Not ready for tasks'}</h2>
          <ul class="checks">
            {(ready.checks ?? []).map((check) => (
              <li class={check.ok ? 'ok' : 'not-ok'}><i aria-hidden="true">{check.ok ? '✓' : '✕'}</i><b>{check.name}</b><span class="hidden">{check.ok ? 'ok:' : 'failed:'}</span><span><Sentence text={withoutErrno(check.detail)} /></span></li>
            ))}
          </ul>
          {!ready.ready && <p class="hint">On the server, <code>claude-runner doctor</code> runs more checks and names the remedy for each problem.</p>}
        </section>
      )}
      {hidden && <Empty title="Sandboxes need a key for all sessions"><p>Your key is limited to some sessions.</p></Empty>}
      {/* The engine needs a second for the measurement. */}
      {ready && !found && !hidden && !error && <Loading />}
      {found && (
        <>
          <dl class="facts">
            <Fact name="Engine">{found.engine.version}, {found.engine.cpus} CPUs, {bytes(found.engine.memoryBytes)}</Fact>
            <Fact name="Sandboxes"><span class="big">{found.pool.live}</span> of {found.pool.max}</Fact>
            <Fact name="Warm">{found.pool.warm}</Fact>
            <Fact name="Sessions waiting">{count(found.queue.waitingSessions)}</Fact>
            <Fact name="Tasks queued">{count(found.queue.queuedTasks)}</Fact>
          </dl>
          <section aria-labelledby="sandboxes">
            <div class="toolbar"><h2 id="sandboxes">Sandboxes</h2><Copy label="Copy as cURL" text={() => curl('/sandboxes')} /></div>
            {!found.sandboxes.length ? <Empty title="No sandbox is running"><p>The next task starts one.</p></Empty> : (
              <table class="list">
                <caption class="hidden">Sandboxes</caption>
                <thead><tr><th scope="col">State</th><th scope="col">Session</th><th scope="col">Memory</th><th scope="col" class="number">CPU</th><th scope="col" class="number">Processes</th><th scope="col" class="number">Started</th></tr></thead>
                <tbody>
                  {found.sandboxes.map((sandbox, index) => (
                    <tr key={sandbox.sessionId ?? `warm-${index}`}>
                      <td data-label="State"><Badge status={sandbox.state} /></td>
                      <td class="title">{sandbox.sessionId ? <a data-row href={href('sessions', sandbox.sessionId)}>{sandbox.sessionId}</a> : <span class="none">not assigned to a session</span>}</td>
                      <td data-label="Memory">
                        <span class="memory">{bytes(sandbox.memoryBytes)}{sandbox.memoryLimitBytes ? <Meter value={sandbox.memoryBytes} of={sandbox.memoryLimitBytes} label={bytes(sandbox.memoryLimitBytes)} /> : null}</span>
                      </td>
                      <td class="number" data-label="CPU">{sandbox.cpuPercent === null ? '–' : `${sandbox.cpuPercent.toFixed(1)} %`}</td>
                      <td class="number" data-label="Processes">{sandbox.processes}</td>
                      <td class="number" data-label="Started"><Ago time={sandbox.started} /></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )}
          </section>
        </>
      )}
    </>
  );
}

/** Reads /ready, which reports failed checks with status 503. */
async function readiness(signal: AbortSignal): Promise<Readiness> {
  const headers: Record<string, string> = key.value ? { authorization: `Bearer ${key.value}` } : {};
  try {
    const answer = await fetch('/ready', { signal, headers, cache: 'no-store' });
    return (await answer.json()) as Readiness;
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(0, 'unreachable', 'The server does not answer. It may be restarting.');
  }
}
