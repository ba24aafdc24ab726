-- During an upgrade two berthds use the store: which of them has a session open, and why another one wants it ended ('': nobody does).
ALTER TABLE sessions ADD COLUMN instance TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN end_wanted TEXT NOT NULL DEFAULT '';
