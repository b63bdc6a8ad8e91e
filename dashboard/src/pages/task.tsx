// The address of a task leads to its place in its session.
import { useEffect } from 'preact/hooks';
import { Problem, id } from '../api';
import { learned } from '../live';
import { Empty, Loading, Trouble } from '../parts/basic';
import { useGet } from '../parts/use';
import { href, replace, taskAddress } from '../route';
import type { Task } from '../types';

export function TaskPage({ taskId }: { taskId: string }) {
  const { value: task, error, reload } = useGet<Task>(`/task/${id(taskId)}`);
  useEffect(() => {
    if (!task) return;
    learned(task);
    replace(taskAddress(task.sessionId, task.taskId));
  }, [task]);
  if (error instanceof Problem && error.status === 404) {
    return <><h1>Task</h1><Empty title="There is no such task"><p>It may have been deleted with its session, or your key does not see it.</p><a class="button" href={href()}>To the overview</a></Empty></>;
  }
  return <><h1>Task</h1>{error ? <Trouble error={error} retry={reload} /> : <Loading />}</>;
}
