// Loads the events of a task and follows it live.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { lines } from '../api';
import { returns } from '../live';
import { type StreamState, subscribe } from '../stream';
import { Transcript } from '../transcript';
import type { RunnerEvent } from '../types';

export interface Work {
  transcript: Transcript;
  /** `failed`: the stored events could not be loaded. */
  state: StreamState | 'reading' | 'read' | 'failed';
  retry: () => void;
}

/** `isFinal`: the task has ended, so nothing follows its stored events. `onMove` is called after events other than text and thinking. */
export function useWork(taskId: string, sessionId: string, isFinal: boolean, onMove: () => void): Work {
  const transcript = useMemo(() => new Transcript(), [taskId]);
  const [state, setState] = useState<Work['state']>('reading');
  const [attempt, setAttempt] = useState(0);
  const move = useRef(onMove);
  move.current = onMove;
  // The task may end while its events are read.
  const hasEnded = useRef(isFinal);
  hasEnded.current = isFinal;
  const retry = () => setAttempt((attempt) => attempt + 1);
  useEffect(() => {
    const stop = new AbortController();
    let unsubscribe = () => {};
    const take = (events: RunnerEvent[]) => {
      const own = events.filter((event) => !('taskId' in event) || event.taskId === taskId);
      transcript.take(own);
      if (own.some(({ type }) => type !== 'text' && type !== 'thinking')) move.current();
      if (own.some(({ type }) => ['task_complete', 'task_failed', 'abort'].includes(type))) unsubscribe();
    };
    const read = async () => {
      let epoch: string | undefined;
      const onHeaders = (headers: Headers) => (epoch = headers.get('session-epoch') ?? undefined);
      for await (const batch of lines<RunnerEvent>(`/task/${taskId}/logs?format=ndjson`, stop.signal, onHeaders)) transcript.take(batch);
      if (stop.signal.aborted) return;
      if (hasEnded.current) return setState('read');
      unsubscribe = subscribe(sessionId, epoch, transcript.last, { events: take, state: setState });
    };
    setState('reading');
    read().catch(() => {
      if (!stop.signal.aborted) setState('failed');
    });
    return () => {
      stop.abort();
      unsubscribe();
    };
  }, [taskId, sessionId, attempt]);
  // What failed while the server was away is loaded when it is back.
  useEffect(() => {
    if (state === 'failed') retry();
  }, [returns.value]);
  return { transcript, state, retry };
}
