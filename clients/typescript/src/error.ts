import type { ErrorType, Problem } from './types.js';

/**
 * What went wrong: an answer of the server (`status` is its HTTP status), or no answer at all (`status` is 0 and `code` one of
 * `unreachable`, `cut`, `stream_lost`, `events_missing`, `session_renewed`).
 */
export class RunnerError extends Error {
  override readonly name = 'RunnerError';
  readonly status: number;
  /** Stable; decide on it. */
  readonly code: string;
  /** The same request may succeed later. */
  readonly retryable: boolean;
  /** Milliseconds after which to try again, where the server says so. */
  readonly retryAfter: number | undefined;
  /** Of a task that did not complete. */
  readonly errorType: ErrorType | undefined;
  readonly taskId: string | undefined;
  /** The whole answer; of a task that failed with what it cost. */
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

/** The error of an answer that is not a good one; also of a proxy's, which is no problem+json. */
export async function errorOf(answer: Response): Promise<RunnerError> {
  const text = await answer.text().catch(() => '');
  let problem: Partial<Problem> & Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed && typeof parsed === 'object' && !Array.isArray(parsed)) problem = parsed as typeof problem;
  } catch {
    // No JSON: the status says all there is.
  }
  const seconds = Number(answer.headers.get('retry-after') ?? NaN);
  return new RunnerError(problem.error ?? `the server answered ${answer.status} ${answer.statusText}`.trim(), {
    status: answer.status,
    code: problem.code ?? `http_${answer.status}`,
    // A gateway's own answer while the server behind it is away.
    retryable: problem.retryable ?? [502, 503, 504].includes(answer.status),
    retryAfter: seconds >= 0 ? seconds * 1000 : undefined,
    problem,
  });
}
