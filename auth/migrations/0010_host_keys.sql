-- Several host keys of one type: the oldest is in use, a newer one takes over when retires_at of the one before it comes (0: never).
CREATE TABLE rotating_host_keys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  private_key TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  retires_at INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO rotating_host_keys (type, private_key, created_at) SELECT type, private_key, created_at FROM host_keys ORDER BY type;
DROP TABLE host_keys;
ALTER TABLE rotating_host_keys RENAME TO host_keys;
