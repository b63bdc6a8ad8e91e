-- A task's end that is to be told to its caller's address: one row a task, written with the task, made due in the commit that
-- ends it. Times are nanoseconds since 1970.
CREATE TABLE webhooks (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB    NOT NULL UNIQUE,            -- UUID, the webhook-id of every attempt
    task       INTEGER NOT NULL UNIQUE,            -- tasks.id
    session    BLOB    NOT NULL,                   -- sessions.key: what the target is sealed for
    session_id TEXT    NOT NULL,
    host       TEXT    NOT NULL,                   -- host:port
    target     BLOB    NOT NULL,                   -- sealed; JSON: the address, and the caller's secret
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'pending', 'delivered', 'failed')),
    event      TEXT,                               -- its type, once the task has ended
    created    INTEGER,                            -- when the task ended
    due        INTEGER,                            -- the next attempt, while pending
    ended      INTEGER,                            -- the last attempt, once delivered or failed
    tries      INTEGER NOT NULL DEFAULT 0,         -- since the task ended, or since the last replay
    round      INTEGER NOT NULL DEFAULT 0,         -- replays
    attempts   TEXT    NOT NULL DEFAULT '[]'       -- JSON: the last ones, oldest first
) STRICT;

CREATE INDEX webhooks_due ON webhooks (due) WHERE state = 'pending';
CREATE INDEX webhooks_ended ON webhooks (ended) WHERE ended IS NOT NULL;
