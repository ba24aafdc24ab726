-- One row for each thing that is or was open. Names instead of references: history outlives users and keys.
CREATE TABLE sessions (
  id TEXT NOT NULL PRIMARY KEY,
  user TEXT NOT NULL,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL,
  key_fingerprint TEXT NOT NULL,
  client_address TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  closed_at INTEGER NOT NULL DEFAULT 0,
  bytes_in INTEGER NOT NULL DEFAULT 0,
  bytes_out INTEGER NOT NULL DEFAULT 0,
  outcome TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX sessions_open ON sessions (closed_at) WHERE closed_at = 0;
CREATE INDEX sessions_by_time ON sessions (opened_at);
CREATE INDEX sessions_by_user ON sessions (user, opened_at);
