-- The template of each session. Those of before had the only one that there was.
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT 'default';
