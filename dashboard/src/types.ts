// Names for the types of the API, which scripts/generate generates from the server's types.
import type { components as api } from '../../clients/typescript/src/generated/api';
import type { components as stream } from '../../clients/typescript/src/generated/events';

type Api = api['schemas'];
type Stream = stream['schemas'];

export type Status = Api['TaskStatus'];
export type Task = Api['Task'];
export type Ask = Api['Ask'];
export type Session = Api['Session'];
export type UsageRow = Api['UsageRow'];
export type UsageReport = Api['UsageReport'];
export type Sandboxes = Api['Sandboxes'];
export type Health = Api['Health'];
export type Readiness = Api['Readiness'];
export type Directory = Api['Listing'];
export type FileEntry = Directory['entries'][number];
export type Agent = Api['Agent'];
export type Ticket = Api['Ticket'];
export type Delivery = Api['Webhook'];
export type Problem = Api['Problem'];

/** The first frame of a WebSocket. */
export type Connected = Stream['Connected'];
/** An event of a session. The server may be newer than this page and send other types. */
export type RunnerEvent = Exclude<Stream['Event'], Connected>;
/** A line of `GET /watch`. */
export type Change = Stream['Change'];
