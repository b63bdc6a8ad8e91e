// Names for the types in the API's documents.
import type { components as api, operations } from './generated/api.js';
import type { components as stream } from './generated/events.js';

type Api = api['schemas'];
type Stream = stream['schemas'];

export type Answer = Api['Answer'];
export type Accepted = Api['Accepted'];
export type Aborted = Api['Aborted'];
export type TaskRecord = Api['Task'];
export type TaskStatus = Api['TaskStatus'];
export type ErrorType = Api['ErrorType'];
export type Session = Api['Session'];
export type Agent = Api['Agent'];
export type Ticket = Api['Ticket'];
export type Usage = Api['Usage'];
export type UsageReport = Api['UsageReport'];
export type Problem = Api['Problem'];
export type SessionTask = Omit<Api['SessionTaskRequest'], 'async'>;
export type RepositoryTask = Api['RepositoryTaskRequest'];
export type ListTasks = NonNullable<operations['listTasks']['parameters']['query']>;
export type UsageQuery = NonNullable<operations['usage']['parameters']['query']>;

/** An event of a session. A newer server may send other types, so handle `default`. */
export type RunnerEvent = Exclude<Stream['Event'], Stream['Connected']>;
export type EventType = RunnerEvent['type'];
/** The first frame of a WebSocket. */
export type Connected = Stream['Connected'];
/** Events with a number: all except `gap`. */
export type NumberedEvent = Exclude<RunnerEvent, Stream['Gap']>;
/** The final event of a task. */
export type FinalEvent = Stream['TaskComplete'] | Stream['TaskFailed'] | Stream['Abort'];
