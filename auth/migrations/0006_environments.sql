-- Conda environments and their revisions. The lock is the whole truth of a revision; the files can be made again from it.
CREATE TABLE environments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (user_id, name)
) STRICT;
CREATE UNIQUE INDEX environments_default ON environments (user_id) WHERE is_default = 1;

CREATE TABLE environment_revisions (
  environment_id INTEGER NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  yaml TEXT NOT NULL,
  lock TEXT NOT NULL,
  lock_hash TEXT NOT NULL,
  tree_hash TEXT NOT NULL,
  packages INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (environment_id, number)
) STRICT;
