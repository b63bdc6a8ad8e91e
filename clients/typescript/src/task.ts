import type { ClaudeRunner } from './client.js';
import { RunnerError } from './error.js';
import type { StreamOptions } from './stream.js';
import type { Aborted, Answer, FinalEvent, RunnerEvent, TaskRecord } from './types.js';

/** A task that the server has accepted. It continues to run if this object is dropped. */
export class Task {
  constructor(
    private readonly runner: ClaudeRunner,
    readonly id: string,
    readonly sessionId: string,
  ) {}

  /** Yields the task's events from the first to the last, across restarts of the server. Ends after the task's final event. */
  async *events(options: Omit<StreamOptions, 'since'> = {}): AsyncGenerator<RunnerEvent, void> {
    const since = await this.runner.beforeTask(this.id, options.signal);
    // Retention has removed all events, and no new ones follow.
    if (since === undefined) return;
    try {
      for await (const event of this.runner.stream(this.sessionId, { ...options, since })) {
        const isOwn = 'taskId' in event && event.taskId === this.id;
        if (isOwn || event.type === 'gap') yield event;
        if ((isOwn && isFinal(event)) || event.type === 'session_deleted') return;
      }
    } catch (error) {
      // The session was deleted, and the task ended with it.
      if (!(error instanceof RunnerError) || error.code !== 'session_renewed') throw error;
    }
  }

  /** Waits for the end. Throws a `RunnerError` with an `errorType` if the task did not complete. */
  async result(options: { signal?: AbortSignal } = {}): Promise<Answer> {
    for await (const event of this.events(options)) {
      if (event.type === 'task_complete') {
        const { type: _type, seq: _seq, ts: _ts, ...answer } = event;
        return answer;
      }
      if (event.type === 'task_failed' || event.type === 'abort') throw failure(event.error, event.errorType, this.id);
    }
    const record = await this.show(options);
    if (record.status !== 'completed') throw failure(record.error ?? 'the task did not complete', record.errorType ?? 'deleted', this.id);
    return record as unknown as Answer;
  }

  show(options: { signal?: AbortSignal } = {}): Promise<TaskRecord> {
    return this.runner.task(this.id, options);
  }

  /** Aborts the task; `interrupt` keeps the container. */
  abort(options: { mode?: 'kill' | 'interrupt'; signal?: AbortSignal } = {}): Promise<Aborted> {
    return this.runner.abort(this.id, options);
  }
}

export function isFinal(event: RunnerEvent): event is FinalEvent {
  return event.type === 'task_complete' || event.type === 'task_failed' || event.type === 'abort';
}

function failure(sentence: string, errorType: string, taskId: string): RunnerError {
  return new RunnerError(sentence, { code: errorType, problem: { errorType, taskId } });
}
