//! What is kept: sessions, tasks, events.
