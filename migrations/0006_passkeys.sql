-- How people sign in: passkeys, invitations, recovery codes, and what is known of each session.

CREATE TABLE passkeys (
  passkey_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  -- The authenticator's own name for it, base64url.
  credential_id TEXT NOT NULL UNIQUE,
  -- The algorithm's name in JOSE, a dot, the coordinates as base64url.
  public_key TEXT NOT NULL,
  -- How often it has signed; 0: it doesn't count.
  sign_count INTEGER NOT NULL,
  -- Whether it may be on several devices of its owner.
  backup_eligible INTEGER NOT NULL CHECK (backup_eligible IN (0, 1)),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER
) STRICT;
CREATE INDEX passkeys_by_user ON passkeys (user_id, created_at);

-- The hash is keyed: a code is short enough to write down.
CREATE TABLE recovery_codes (
  code_hash TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;
CREATE INDEX recovery_codes_by_user ON recovery_codes (user_id);

CREATE TABLE invitations (
  token_hash TEXT PRIMARY KEY,
  invitation_id TEXT NOT NULL UNIQUE,
  -- The user that it makes, and as what.
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('operator', 'member')),
  invited_by TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  accepted_at INTEGER,
  revoked_at INTEGER
) STRICT;
CREATE INDEX invitations_by_inviter ON invitations (invited_by);
CREATE INDEX invitations_by_expiry ON invitations (expires_at);

-- Where a session was begun, with what, and when it was last used, to the hour.
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN last_seen_at INTEGER;
-- When its person last proved that it is them, if since they signed in.
ALTER TABLE sessions ADD COLUMN confirmed_at INTEGER;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
