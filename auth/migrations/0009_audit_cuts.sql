-- Where the audit trail was cut by retention: what is left begins after this row, whose hash the next one covers.
CREATE TABLE audit_cuts (
  number INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE TRIGGER audit_cuts_no_update BEFORE UPDATE ON audit_cuts BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_cuts_no_delete BEFORE DELETE ON audit_cuts BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
DROP TRIGGER audit_no_delete;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN OLD.number > (SELECT coalesce(max(number), 0) FROM audit_cuts)
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE INDEX audit_by_time ON audit (at);
