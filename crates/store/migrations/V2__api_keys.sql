-- API keys. The secret itself is nowhere: whoever has this file cannot call. A revoked key stays, so that the audit log's and
-- the usage's names keep their meaning.
CREATE TABLE api_keys (
    id       TEXT    NOT NULL PRIMARY KEY,
    name     TEXT,
    digest   BLOB    NOT NULL UNIQUE,              -- SHA-256 of the secret
    scope    TEXT    NOT NULL CHECK (scope IN ('read', 'submit', 'admin')),
    sessions TEXT,                                 -- only sessions whose ids begin with this
    limits   TEXT    NOT NULL,                     -- JSON
    created  INTEGER NOT NULL,
    expires  INTEGER,
    revoked  INTEGER
) STRICT, WITHOUT ROWID;
