-- Certificate authorities. Principals are rules, one a line; a private key only where berthd itself issues.
CREATE TABLE authorities (
  name TEXT NOT NULL PRIMARY KEY,
  fingerprint TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  blob BLOB NOT NULL,
  principals TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  private_key TEXT NOT NULL DEFAULT ''
) STRICT;

-- By fingerprint and not by name: what is revoked stays so when an authority is removed and added again. Serials are unsigned 64-bit numbers
-- with the highest bit flipped, so that they compare in order. An empty authority is all of them.
CREATE TABLE certificate_revocations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  authority TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('serials', 'key_id', 'key_sha256', 'key_sha1')),
  first_serial INTEGER NOT NULL DEFAULT 0,
  last_serial INTEGER NOT NULL DEFAULT 0,
  value BLOB NOT NULL DEFAULT x'',
  added_at INTEGER NOT NULL,
  UNIQUE (authority, kind, first_serial, last_serial, value)
) STRICT;
CREATE INDEX certificate_revocations_by_value ON certificate_revocations (kind, value);

CREATE TABLE issued_certificates (
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  user TEXT NOT NULL,
  key_fingerprint TEXT NOT NULL,
  by_key TEXT NOT NULL,  -- the key that asked for it: revoking that one ends the certificate too; empty: an admin asked
  issued_by TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  valid_before INTEGER NOT NULL
) STRICT;
