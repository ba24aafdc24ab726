-- Logging in to the web with an SSH key. Tokens, codes and cookies are stored as SHA-256 only.
CREATE TABLE web_links (
  token_hash BLOB NOT NULL PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  key_id INTEGER NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE web_codes (
  code_hash BLOB NOT NULL PRIMARY KEY,
  secret_hash BLOB NOT NULL UNIQUE,
  network TEXT NOT NULL,  -- what the limit of open codes counts: an IPv4 address or an IPv6 /64
  address TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  asked_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  user_id INTEGER REFERENCES users (id) ON DELETE CASCADE,  -- who approved it
  key_id INTEGER REFERENCES keys (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX web_codes_by_network ON web_codes (network);

CREATE TABLE web_sessions (
  id TEXT NOT NULL PRIMARY KEY,
  cookie_hash BLOB NOT NULL UNIQUE,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  key_id INTEGER NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  address TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX web_sessions_by_user ON web_sessions (user_id);

-- From the portal's origin to that of the workspaces (DESIGN 8).
CREATE TABLE web_crossings (
  code_hash BLOB NOT NULL PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES web_sessions (id) ON DELETE CASCADE,
  owner TEXT NOT NULL,
  workspace TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE web_workspace_cookies (
  cookie_hash BLOB NOT NULL PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES web_sessions (id) ON DELETE CASCADE,
  owner TEXT NOT NULL,
  workspace TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX web_workspace_cookies_by_session ON web_workspace_cookies (session_id, owner, workspace, created_at);
