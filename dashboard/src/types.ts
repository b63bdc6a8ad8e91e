// What the API answers, as far as the pages use it. `/openapi.json` describes all of it.

export type Status = 'queued' | 'running' | 'completed' | 'failed' | 'aborted';

export interface Tokens {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
}

export interface Task {
  taskId: string;
  sessionId: string;
  kind?: string;
  status: Status;
  prompt: string;
  context: string | null;
  model: string;
  maxTurns: number;
  timeoutMs: number;
  maxCostUsd: number | null;
  metadata: Record<string, unknown> | null;
  created: string;
  started: string | null;
  finished: string | null;
  error: string | null;
  errorType: string | null;
  pr_url: string | null;
  stage?: string | null;
  repo?: string | null;
  branch?: string | null;
  summary?: string | null;
  cost?: number;
  duration?: number;
  resumed?: boolean;
  usage?: Tokens & { requests: number };
  output?: unknown;
  response?: string | null;
}

export interface Session {
  sessionId: string;
  agent: string;
  created: string;
  lastActive: string;
  turns: number;
  busy: boolean;
  queued: number;
  state: string;
  seq: number;
  credential?: 'session' | 'operator';
}

export interface RunnerEvent {
  type: string;
  seq: number;
  ts: string;
  taskId?: string;
  parentToolUseId?: string;
  [field: string]: unknown;
}

export interface UsageRow extends Tokens {
  day?: string;
  key?: string | null;
  sessionId?: string | null;
  model?: string | null;
  requests: number;
  cost: number;
  estimatedCost: number;
}

export interface UsageReport {
  from: string;
  to: string;
  totals: UsageRow;
  rows: UsageRow[];
  truncated: boolean;
}

export interface Sandboxes {
  engine: { version: string; apiVersion?: string; cpus: number; memoryBytes: number } | null;
  sandboxes: {
    sessionId: string | null;
    state: string;
    started: string | null;
    memoryBytes: number | null;
    memoryLimitBytes: number | null;
    cpuPercent: number | null;
    processes: number | null;
  }[];
  pool: { warm: number; live: number; max: number };
  queue: { waitingSessions: number; queuedTasks: number };
}

export interface Readiness {
  ready: boolean;
  checks?: { name: string; ok: boolean; detail: string }[];
}

export interface FileEntry {
  name: string;
  type: 'file' | 'directory' | 'symlink' | 'other';
  size: number;
  modified: string | null;
  mode?: string | number;
  target?: string;
}

export interface Directory {
  path: string;
  entries: FileEntry[];
  truncated?: boolean;
}

export interface Agent {
  name: string;
  description: string | null;
  default: boolean;
  model: string;
  maxTurns: number;
  timeoutMs: number;
  maxCostUsd: number | null;
  /** Names of variables without which it does not work. */
  env: string[];
  /** Why it cannot be used. */
  error: string | null;
}

export interface Delivery {
  id: string;
  taskId: string;
  sessionId: string;
  type: string;
  url: string;
  status: 'pending' | 'delivered' | 'failed';
  created: string;
  nextAttempt: string | null;
  attempts: { time: string; status: number | null; error: string | null; durationMs: number }[];
}
