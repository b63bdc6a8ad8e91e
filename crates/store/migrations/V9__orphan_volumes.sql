-- Volumes in the engine that no session of this store has, and since when this store knows them so. Nanoseconds since 1970.
CREATE TABLE orphan_volumes (
    name    TEXT    NOT NULL PRIMARY KEY,
    seen    INTEGER NOT NULL,
    deleted INTEGER NOT NULL                       -- 1: its session was deleted here, so it is removed without a grace
) STRICT, WITHOUT ROWID;

-- Deleted sessions that may still have volumes.
CREATE TABLE deleted_storage (
    session BLOB    NOT NULL PRIMARY KEY           -- sessions.key
) STRICT, WITHOUT ROWID;
