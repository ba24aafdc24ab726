-- Ports and Jupyter on origins of their own, and sharing them. `app`: "jupyter", a port, or '' for the origin that all paths share.
ALTER TABLE web_crossings ADD COLUMN app TEXT NOT NULL DEFAULT '';
ALTER TABLE web_crossings ADD COLUMN bound_to BLOB NOT NULL DEFAULT x'';  -- SHA-256 in hex of what the browser holds that asked
ALTER TABLE web_workspace_cookies ADD COLUMN app TEXT NOT NULL DEFAULT '';
DROP INDEX web_workspace_cookies_by_session;
CREATE INDEX web_workspace_cookies_by_session ON web_workspace_cookies (session_id, owner, workspace, app, created_at);

-- A share rests on the key that its owner came with.
CREATE TABLE port_shares (
  id TEXT NOT NULL PRIMARY KEY,
  owner_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  key_id INTEGER NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  workspace TEXT NOT NULL,
  port INTEGER NOT NULL,
  with_id INTEGER REFERENCES users (id) ON DELETE CASCADE,  -- NULL: everybody who is logged in
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX port_shares_by_owner ON port_shares (owner_id, workspace, port);
CREATE INDEX port_shares_by_visitor ON port_shares (with_id);
