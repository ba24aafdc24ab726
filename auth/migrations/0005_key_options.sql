-- The options of a key as in authorized_keys, in normal form ('' for none), and the certificate that a session rests on.
ALTER TABLE keys ADD COLUMN options TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN certificate TEXT NOT NULL DEFAULT '';
