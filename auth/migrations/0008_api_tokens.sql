-- API tokens: stored as SHA-256 only. Scopes are words with blanks between.
CREATE TABLE api_tokens (
  id TEXT NOT NULL PRIMARY KEY,
  token_hash BLOB NOT NULL UNIQUE,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  key_id INTEGER NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER NOT NULL DEFAULT 0,
  last_used_at INTEGER NOT NULL DEFAULT 0,
  last_used_from TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX api_tokens_by_user ON api_tokens (user_id, created_at);
