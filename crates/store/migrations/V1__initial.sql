-- The whole state of an installation, in one file. Times are nanoseconds since 1970 (UTC). A task's id is stored as the
-- 64-bit number that its 16 hexadecimal digits spell: `printf('%016x', id)`. "sealed" is XChaCha20-Poly1305 with the key
-- file beside this one: 24 bytes nonce, then the ciphertext with its tag (store/seal.rs).

-- `key_check`: a known text, sealed. A key file that cannot open it is not ours.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- `number` is the short name under which events and lines are kept. AUTOINCREMENT, because a number used again would give
-- a new session the events of a deleted one.
CREATE TABLE sessions (
    number               INTEGER PRIMARY KEY AUTOINCREMENT,
    key                  BLOB    NOT NULL UNIQUE,  -- UUIDv7, ours
    id                   TEXT    NOT NULL UNIQUE,  -- the caller's
    created              INTEGER NOT NULL,
    last_active          INTEGER NOT NULL,
    turns                INTEGER NOT NULL,
    claude_session_id    TEXT,
    last_seq             INTEGER NOT NULL,         -- of the newest event, kept when retention removes it
    log_bytes            INTEGER NOT NULL,         -- of the events and lines that are kept
    -- The sandbox: the first four are there together or not at all.
    sandbox_name         TEXT,
    sandbox_container_id TEXT,
    sandbox_link_secret  BLOB,                     -- sealed
    sandbox_last_frame   INTEGER,                  -- the last frame whose events are committed
    sandbox_progress     TEXT                      -- JSON: what the worker knew of the dialogue after that frame
) STRICT;

CREATE INDEX sessions_with_sandbox ON sessions (number) WHERE sandbox_name IS NOT NULL;

CREATE TABLE session_env (
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
    name    TEXT    NOT NULL,
    value   BLOB    NOT NULL,                      -- sealed
    PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;

-- Tasks outlive their session (their status stays readable), so there is no reference to it. `number` is the order of
-- submission. The small columns come first: reading them must not walk through a long message.
CREATE TABLE tasks (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          INTEGER NOT NULL UNIQUE,
    session     BLOB    NOT NULL,                  -- sessions.key
    session_id  TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'aborted')),
    created     INTEGER NOT NULL,
    started     INTEGER,
    finished    INTEGER,
    attempt     INTEGER NOT NULL,                  -- 0 at first; one more each time it began anew
    prompt_uuid BLOB    NOT NULL,                  -- of the message given to the agent, so that a resend runs once
    message     TEXT    NOT NULL,
    request     TEXT    NOT NULL,                  -- JSON: the rest of what was asked for
    failure     TEXT,                              -- JSON
    answer      TEXT                               -- JSON
) STRICT;

CREATE INDEX tasks_of_session ON tasks (session_id, number);
CREATE INDEX tasks_by_status ON tasks (status, number);
CREATE INDEX tasks_unfinished ON tasks (session, number) WHERE status IN ('queued', 'running');

-- `scope` is the API key's name, or '' without API keys.
CREATE TABLE idempotency_keys (
    scope       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    body_sha256 BLOB    NOT NULL,
    task        INTEGER NOT NULL,                  -- tasks.id
    created     INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created);

-- Clustered by session: replay reads neighbouring pages, appending writes one. No reference to `sessions`, so that deleting a
-- session does not have to delete a million rows at once (see deleted_sessions).
CREATE TABLE events (
    session INTEGER NOT NULL,                      -- sessions.number
    seq     INTEGER NOT NULL,
    task    INTEGER,                               -- tasks.id
    json    BLOB    NOT NULL,                      -- one line, without the line feed
    PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

-- The CLI's own stdout lines without deltas, and the marks between them.
CREATE TABLE lines (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL,                      -- sessions.number
    task    INTEGER NOT NULL,                      -- tasks.id
    line    BLOB    NOT NULL
) STRICT;

CREATE INDEX lines_of_task ON lines (session, task);

-- Where a task's events lie in its session's, while there are any events or lines of it. `ended` is null while
-- the task is not finished.
CREATE TABLE task_logs (
    task      INTEGER NOT NULL PRIMARY KEY,        -- tasks.id
    session   INTEGER NOT NULL,                    -- sessions.number
    first_seq INTEGER,
    last_seq  INTEGER,
    ended     INTEGER
) STRICT;

CREATE INDEX task_logs_by_age ON task_logs (ended) WHERE ended IS NOT NULL;
CREATE INDEX task_logs_of_session ON task_logs (session);
CREATE INDEX task_logs_unfinished ON task_logs (session, first_seq) WHERE ended IS NULL;

-- Deleted sessions whose events and lines are still to be removed, a few at a time.
CREATE TABLE deleted_sessions (
    number INTEGER NOT NULL PRIMARY KEY            -- sessions.number
) STRICT;
