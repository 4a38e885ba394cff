-- Times are seconds since the epoch. Secrets are stored as lower-case hexadecimal SHA-256, never in clear.
-- Single-use things are consumed by one conditional UPDATE or INSERT whose row count is checked.

CREATE TABLE users (
  user_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('operator', 'member')),
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
  token_hash TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (user_id),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

-- A one-time sign-in link is here once it has been used, with the session it made: the insert of that session depends on
-- having won this row.
CREATE TABLE used_sign_in_links (
  nonce_hash TEXT PRIMARY KEY,
  session_hash TEXT NOT NULL,
  used_at INTEGER NOT NULL
) STRICT;

CREATE TABLE clients (
  client_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  home_page TEXT NOT NULL,
  redirect_uris TEXT NOT NULL, -- a JSON array of strings
  token_endpoint_auth_method TEXT NOT NULL
    CHECK (token_endpoint_auth_method IN ('none', 'client_secret_basic', 'client_secret_post')),
  secret_hash TEXT,
  owner_user_id TEXT REFERENCES users (user_id),
  created_at INTEGER NOT NULL,
  CHECK ((token_endpoint_auth_method = 'none') = (secret_hash IS NULL))
) STRICT;

-- What a consent page shows, under a handle, so that it can't change between showing and allowing.
CREATE TABLE authorization_requests (
  handle_hash TEXT PRIMARY KEY,
  session_hash TEXT NOT NULL,
  client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
  redirect_uri TEXT NOT NULL,
  state TEXT,
  code_challenge TEXT NOT NULL,
  requested TEXT NOT NULL, -- JSON
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  decided_at INTEGER,
  grant_id TEXT
) STRICT;

CREATE TABLE grants (
  grant_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (user_id),
  client_id TEXT NOT NULL,
  client_name TEXT NOT NULL, -- as the user saw it
  terms TEXT NOT NULL, -- JSON
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;
CREATE INDEX grants_by_user ON grants (user_id, created_at DESC);
CREATE INDEX grants_by_client ON grants (client_id);

CREATE TABLE authorization_codes (
  code_hash TEXT PRIMARY KEY,
  grant_id TEXT NOT NULL REFERENCES grants (grant_id),
  client_id TEXT NOT NULL,
  redirect_uri TEXT NOT NULL,
  code_challenge TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  redeemed_at INTEGER
) STRICT;
CREATE INDEX authorization_codes_by_grant ON authorization_codes (grant_id);

CREATE TABLE refresh_tokens (
  token_hash TEXT PRIMARY KEY,
  grant_id TEXT NOT NULL REFERENCES grants (grant_id),
  client_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  rotated_at INTEGER
) STRICT;
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id);
