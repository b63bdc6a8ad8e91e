import { useCallback, useEffect, useState } from 'preact/hooks';
import { get } from '../api';
import { returns } from '../live';

export interface Loaded<T> {
  value: T | null;
  error: unknown;
  reload: () => void;
}

/** Loads the JSON of a path, and again after a lost connection. Keeps the last value meanwhile. Without a path, it sends no request. */
export function useGet<T>(path: string | null, again: unknown = null): Loaded<T> {
  return useLoad(path, get<T>, again);
}

/** Like `useGet`, with a function that loads the value of a path. */
export function useLoad<T>(path: string | null, load: (path: string, signal: AbortSignal) => Promise<T>, again: unknown = null): Loaded<T> {
  const [state, setState] = useState<{ path: string | null; value: T | null; error: unknown }>({ path, value: null, error: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!path) return;
    const stop = new AbortController();
    load(path, stop.signal).then(
      (value) => !stop.signal.aborted && setState({ path, value, error: null }),
      (error: unknown) => {
        if (!stop.signal.aborted) setState((before) => ({ path, value: before.path === path ? before.value : null, error }));
      },
    );
    return () => stop.abort();
  }, [path, round, again, returns.value]);
  const reload = useCallback(() => setRound((round) => round + 1), []);
  const current = state.path === path;
  return { value: current ? state.value : null, error: current ? state.error : null, reload };
}
