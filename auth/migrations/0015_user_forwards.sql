-- Which forwards a user may have in place of the site's rules: JSON (auth/forward_policy.hpp), or empty.
ALTER TABLE users ADD COLUMN forwards TEXT NOT NULL DEFAULT '';
