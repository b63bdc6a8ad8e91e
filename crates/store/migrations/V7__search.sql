-- The index of GET /tasks?q=: trigrams of the beginnings of messages and answers; `rowid` is tasks.number. It has neither the texts
-- nor positions: a search reads the text of each candidate. `session` narrows the search of a key with a prefix.
CREATE VIRTUAL TABLE task_search USING fts5 (
    session, text, content = '', contentless_delete = 1, detail = column, tokenize = 'trigram'
);

-- Tasks that are new or have changed since they were indexed. A search reads the newest of them without the index.
CREATE TABLE unindexed_tasks (
    number INTEGER NOT NULL PRIMARY KEY            -- tasks.number
) STRICT;

INSERT INTO unindexed_tasks (number) SELECT number FROM tasks;

-- TASK_RETENTION removes tasks in this order, with their idempotency keys.
CREATE INDEX tasks_by_end ON tasks (coalesce(finished, created)) WHERE status IN ('completed', 'failed', 'aborted');
CREATE INDEX idempotency_keys_of_task ON idempotency_keys (task);
