-- Money: what was spent, by whom, and what is being spent. Costs are nano-dollars, days are UTC (2026-11-21). An empty key or
-- session: none. Sessions are named as callers name them, so that these rows outlive a session.

-- Model requests that were sent and not settled yet: written before the request leaves, so that a crash cannot forget one. `id`
-- counts from 1 after each start, which settles what the last one left.
CREATE TABLE open_requests (
    id       INTEGER NOT NULL PRIMARY KEY,
    day      TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    session  TEXT    NOT NULL,
    task     TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    estimate INTEGER NOT NULL                      -- the most that it is expected to cost
) STRICT;

-- What GET /usage adds up. `estimated` is the part of `cost` that the model API did not state.
CREATE TABLE usage (
    day                TEXT    NOT NULL,
    key                TEXT    NOT NULL,
    session            TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    requests           INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cost               INTEGER NOT NULL,
    estimated          INTEGER NOT NULL,
    PRIMARY KEY (day, key, session, model)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_of_session ON usage (session, day);
CREATE INDEX usage_of_key ON usage (key, day);

-- What the CLI says that its turns cost; it names no model.
CREATE TABLE cli_usage (
    day     TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    session TEXT    NOT NULL,
    cost    INTEGER NOT NULL,
    PRIMARY KEY (day, key, session)
) STRICT, WITHOUT ROWID;

CREATE INDEX cli_usage_of_session ON cli_usage (session, day);
CREATE INDEX cli_usage_of_key ON cli_usage (key, day);

-- What budgets are measured against, one row for each account: `task:ID`, `session:ID`, `key:ID`, `key-day:ID:DAY`,
-- `day:DAY`, `total`. `assumed` is the part of `spent` that was charged for requests which a crash cut off.
CREATE TABLE spending (
    account TEXT    NOT NULL PRIMARY KEY,
    spent   INTEGER NOT NULL,
    assumed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
