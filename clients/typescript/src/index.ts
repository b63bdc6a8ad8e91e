export { ClaudeRunner, type ClaudeRunnerOptions, type RequestOptions, type SubmitOptions } from './client.js';
export { RunnerError } from './error.js';
export { Task, isFinal } from './task.js';
export type { Retries } from './backoff.js';
export type { GetTicket, TicketAnswer } from './socket.js';
export type { EventCursor, StreamOptions, StreamState } from './stream.js';
export type * from './types.js';
