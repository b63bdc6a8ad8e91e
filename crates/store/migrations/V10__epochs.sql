-- The life of a session, random: a cursor names it, so that one of a deleted session skips no event of the next session with
-- its name.
ALTER TABLE sessions ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET epoch = random();
