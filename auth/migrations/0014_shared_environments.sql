-- Environments of the team, defaults of each user, verification, and the image of a workspace. `user_id` NULL: the team's, with maintainers. The tables
-- are made anew because user_id could not be NULL; every column that there was stays, for the berthd of the release before.
CREATE TABLE environments_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),  -- of its owner
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (user_id, name),
  CHECK (user_id IS NOT NULL OR is_default = 0)
) STRICT;
CREATE TABLE environment_revisions_new (
  environment_id INTEGER NOT NULL REFERENCES environments_new (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  yaml TEXT NOT NULL,
  lock TEXT NOT NULL,
  lock_hash TEXT NOT NULL,
  tree_hash TEXT NOT NULL,  -- '': not built yet where it lies now
  packages INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  verified_at INTEGER NOT NULL DEFAULT 0,
  verified TEXT NOT NULL DEFAULT '' CHECK (verified IN ('', 'ok', 'changed', 'failed')),
  verify_detail TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (environment_id, number)
) STRICT;
INSERT INTO environments_new (id, user_id, name, revision, is_default, created_at, updated_at)
  SELECT id, user_id, name, revision, is_default, created_at, updated_at FROM environments;
INSERT INTO environment_revisions_new (environment_id, number, yaml, lock, lock_hash, tree_hash, packages, size_bytes, created_at, created_by)
  SELECT environment_id, number, yaml, lock, lock_hash, tree_hash, packages, size_bytes, created_at, created_by FROM environment_revisions;
DROP TABLE environment_revisions;
DROP TABLE environments;
ALTER TABLE environments_new RENAME TO environments;
ALTER TABLE environment_revisions_new RENAME TO environment_revisions;
CREATE UNIQUE INDEX environments_default ON environments (user_id) WHERE is_default = 1;
CREATE UNIQUE INDEX environments_of_team ON environments (name) WHERE user_id IS NULL;

-- Users whose shells begin in one of the team's; it stands before one of their own.
CREATE TABLE environment_team_defaults (
  user_id INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  environment_id INTEGER NOT NULL REFERENCES environments (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX environment_team_defaults_by_environment ON environment_team_defaults (environment_id);
CREATE TABLE environment_maintainers (
  environment_id INTEGER NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  PRIMARY KEY (environment_id, user_id)
) STRICT;
CREATE INDEX environment_maintainers_by_user ON environment_maintainers (user_id);

-- Which image a workspace is made of; without a row the site's first.
CREATE TABLE workspace_images (
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  workspace TEXT NOT NULL,
  image TEXT NOT NULL,
  PRIMARY KEY (user_id, workspace)
) STRICT;
