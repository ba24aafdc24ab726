-- Times are microseconds since 1970 (UTC); 0 is "never".
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('user', 'auditor', 'admin')),
  disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  type TEXT NOT NULL,
  blob BLOB NOT NULL,
  fingerprint TEXT NOT NULL,
  comment TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL DEFAULT 0,
  revoked_at INTEGER NOT NULL DEFAULT 0,
  last_used_at INTEGER NOT NULL DEFAULT 0,
  last_used_from TEXT NOT NULL DEFAULT ''
) STRICT;
-- A key belongs to one user at a time.
CREATE UNIQUE INDEX keys_in_force ON keys (fingerprint) WHERE revoked_at = 0;
CREATE INDEX keys_by_fingerprint ON keys (fingerprint, revoked_at);
CREATE INDEX keys_by_user ON keys (user_id);

CREATE TABLE host_keys (
  type TEXT NOT NULL PRIMARY KEY,
  private_key TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE secrets (
  name TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;
