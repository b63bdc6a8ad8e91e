-- The deletion of a session changes its tasks. Without an index it reads every task of the installation.
CREATE INDEX tasks_of_key ON tasks (session);
