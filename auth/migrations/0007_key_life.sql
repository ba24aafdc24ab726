-- The life of keys (auth/key_policy.hpp): rotation with a grace, exceptions from the policy, use, campaigns.
ALTER TABLE keys ADD COLUMN superseded_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN grace_ends_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN successor_id INTEGER REFERENCES keys (id) ON DELETE SET NULL;
-- Dies at the first login of its successor, which has retires_older set until then.
ALTER TABLE keys ADD COLUMN retire_on_first_use INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN retires_older INTEGER NOT NULL DEFAULT 0;
CREATE INDEX keys_by_successor ON keys (successor_id) WHERE successor_id IS NOT NULL;
-- What the clock does next is found by these.
CREATE INDEX keys_by_expiry ON keys (expires_at) WHERE expires_at <> 0 AND revoked_at = 0;
CREATE INDEX keys_by_grace ON keys (grace_ends_at) WHERE grace_ends_at <> 0 AND revoked_at = 0;
CREATE INDEX keys_by_age ON keys (added_at) WHERE revoked_at = 0;

-- JSON (auth/key_exceptions.hpp), or empty.
ALTER TABLE users ADD COLUMN key_exceptions TEXT NOT NULL DEFAULT '';
CREATE INDEX users_with_exceptions ON users (id) WHERE key_exceptions <> '';

-- How often and from where a key logged in, for each day (days since 1970, UTC).
CREATE TABLE key_uses (
  key_id INTEGER NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  day INTEGER NOT NULL,
  address TEXT NOT NULL,
  uses INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (key_id, day, address)
) STRICT, WITHOUT ROWID;

-- Asks the users of old keys to replace them by a deadline.
CREATE TABLE campaigns (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  started_at INTEGER NOT NULL,
  started_by TEXT NOT NULL,
  older_than_s INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('supersede', 'expire')),
  message TEXT NOT NULL,
  ended_at INTEGER NOT NULL DEFAULT 0,  -- by an admin, before its deadline
  done_at INTEGER NOT NULL DEFAULT 0    -- when the deadline's action was taken
) STRICT;
CREATE UNIQUE INDEX campaigns_running ON campaigns (ended_at) WHERE ended_at = 0 AND done_at = 0;
CREATE TABLE campaign_keys (
  campaign_id INTEGER NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
  key_id INTEGER NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  forced INTEGER NOT NULL DEFAULT 0,  -- it was not replaced by the deadline
  PRIMARY KEY (campaign_id, key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX campaign_keys_by_key ON campaign_keys (key_id);

-- Up to when what the clock does to keys has been done and audited.
CREATE TABLE clock_marks (
  name TEXT NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
