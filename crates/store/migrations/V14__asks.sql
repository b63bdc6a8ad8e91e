-- Questions of agents to people. They are removed with their session, or with the record of their task. Times are nanoseconds since 1970.
CREATE TABLE asks (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    session    BLOB    NOT NULL,                   -- sessions.key
    session_id TEXT    NOT NULL,
    task       INTEGER NOT NULL,                   -- tasks.id
    state      TEXT    NOT NULL CHECK (state IN ('open', 'answered', 'expired', 'withdrawn')),
    record     TEXT    NOT NULL                    -- JSON, with all of this
) STRICT;

CREATE INDEX asks_of_session ON asks (session);
CREATE INDEX asks_of_task ON asks (task, state);
-- GET /asks: open ones first, then newest first.
CREATE INDEX asks_in_order ON asks (number + CASE state WHEN 'open' THEN 4611686018427387904 ELSE 0 END);

-- Decisions that a session remembers.
CREATE TABLE ask_rules (
    session  BLOB NOT NULL,                        -- sessions.key
    rule     TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('allow', 'deny')),
    PRIMARY KEY (session, rule)
) STRICT, WITHOUT ROWID;
