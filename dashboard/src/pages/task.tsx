// The address of a task leads to its place in its session.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { Problem, get } from '../api';
import { learned, returns } from '../live';
import { Empty, Loading, Trouble } from '../parts/basic';
import { href, replace, taskAddress } from '../route';
import type { Task } from '../types';

export function TaskPage({ taskId }: { taskId: string }) {
  const [error, setError] = useState<unknown>(null);
  const load = useCallback(async () => {
    try {
      const task = await get<Task>(`/task/${encodeURIComponent(taskId)}`);
      learned(task);
      replace(taskAddress(task.sessionId, task.taskId));
    } catch (error) {
      setError(error);
    }
  }, [taskId]);
  useEffect(() => void load(), [load, returns.value]);
  if (error instanceof Problem && error.status === 404) {
    return <><h1>Task</h1><Empty title="There is no such task"><p>It may have been deleted with its session, or your key does not see it.</p><a class="button" href={href()}>To the overview</a></Empty></>;
  }
  return <><h1>Task</h1>{error ? <Trouble error={error} retry={() => void load()} /> : <Loading />}</>;
}
