import type { ErrorType, Problem } from './types.js';

/**
 * The error of a call. `status` is the HTTP status of the server's answer. Without an answer, `status` is 0 and `code` is one of
 * `unreachable`, `cut`, `stream_lost`, `events_missing`, `session_renewed`.
 */
export class RunnerError extends Error {
  override readonly name = 'RunnerError';
  readonly status: number;
  /** A stable identifier of the error. */
  readonly code: string;
  /** The same request may succeed later. */
  readonly retryable: boolean;
  /** Milliseconds to wait before a retry, if the server names them. */
  readonly retryAfter: number | undefined;
  /** The error type of a task that did not complete. */
  readonly errorType: ErrorType | undefined;
  readonly taskId: string | undefined;
  /** The whole body; for a failed task it includes `cost`. */
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(
    message: string,
    fields: {
      status?: number;
      code: string;
      retryable?: boolean;
      retryAfter?: number | undefined;
      problem?: Record<string, unknown>;
      cause?: unknown;
    },
  ) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    const problem = fields.problem ?? {};
    this.status = fields.status ?? 0;
    this.code = fields.code;
    this.retryable = fields.retryable ?? false;
    this.retryAfter = fields.retryAfter;
    this.errorType = problem['errorType'] as ErrorType | undefined;
    this.taskId = problem['taskId'] as string | undefined;
    this.problem = problem;
  }
}

/** Converts an answer with an error status into an error. The answer of a proxy may not be problem+json. */
export async function errorOf(answer: Response): Promise<RunnerError> {
  const text = await answer.text().catch(() => '');
  let problem: Partial<Problem> & Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed && typeof parsed === 'object' && !Array.isArray(parsed)) problem = parsed as typeof problem;
  } catch {
    // The body is not JSON, so the error has the status only.
  }
  const seconds = Number(answer.headers.get('retry-after') ?? NaN);
  return new RunnerError(problem.error ?? `the server answered ${answer.status} ${answer.statusText}`.trim(), {
    status: answer.status,
    code: problem.code ?? `http_${answer.status}`,
    // A proxy sends these while the server behind it is down.
    retryable: problem.retryable ?? [502, 503, 504].includes(answer.status),
    retryAfter: seconds >= 0 ? seconds * 1000 : undefined,
    problem,
  });
}
