-- Texts of tasks that are longer than a page of the tree. SQLite writes a whole row when one of its columns changes, and a task's
-- status changes at least twice.
CREATE TABLE large_requests (
    task    INTEGER NOT NULL PRIMARY KEY,          -- tasks.number
    message TEXT    NOT NULL,
    request TEXT    NOT NULL                       -- JSON
) STRICT;

CREATE TABLE large_answers (
    task    INTEGER NOT NULL PRIMARY KEY,          -- tasks.number
    answer  TEXT    NOT NULL                       -- JSON
) STRICT;

-- Deleted sessions whose tasks still have their texts. These are removed a few at a time; `task_records` no longer shows them.
CREATE TABLE deleted_texts (
    session BLOB    NOT NULL PRIMARY KEY,          -- sessions.key
    removed INTEGER NOT NULL DEFAULT 0             -- tasks up to this tasks.number have none left
) STRICT, WITHOUT ROWID;

-- The tasks as they are read. JSON that does not parse is left as it is, so that its reader notices the damage, but a deleted
-- session's is not shown.
CREATE VIEW task_records AS
SELECT number, id, tasks.session AS session, session_id, status, created, started, finished, attempt, prompt_uuid, failure,
    CASE WHEN deleted.session IS NULL THEN coalesce(large_requests.message, tasks.message) ELSE '' END AS message,
    CASE WHEN deleted.session IS NULL THEN coalesce(large_requests.request, tasks.request)
        WHEN json_valid(coalesce(large_requests.request, tasks.request))
        THEN json_set(coalesce(large_requests.request, tasks.request), '$.context', NULL, '$.metadata', NULL)
        ELSE '{}' END AS request,
    CASE WHEN deleted.session IS NULL THEN coalesce(large_answers.answer, tasks.answer)
        WHEN json_valid(coalesce(large_answers.answer, tasks.answer))
        THEN json_remove(json_set(coalesce(large_answers.answer, tasks.answer), '$.output', NULL), '$.response')
        END AS answer,
    CASE WHEN deleted.session IS NULL THEN repository
        WHEN json_valid(repository) THEN json_remove(repository, '$.summary') END AS repository
FROM tasks
LEFT JOIN large_requests ON large_requests.task = tasks.number
LEFT JOIN large_answers ON large_answers.task = tasks.number
LEFT JOIN deleted_texts AS deleted ON deleted.session = tasks.session;
