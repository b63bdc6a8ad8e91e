-- What sessions and tasks have that work in a repository; JSON, nothing for the others.
ALTER TABLE sessions ADD COLUMN repository TEXT;
ALTER TABLE tasks ADD COLUMN repository TEXT;
