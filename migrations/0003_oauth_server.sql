-- What the authorization server stores for clients that nobody registered by hand, and before a user agrees.

-- `clients` and `authorization_requests` are made anew: SQLite can't change a CHECK. A request lives ten minutes; one that is open
-- while this runs has to be asked again.
DROP TABLE authorization_requests;

CREATE TABLE clients_new (
  client_id TEXT PRIMARY KEY,
  -- registered: by hand; dynamic: RFC 7591; document: a client metadata document, whose address is the client_id.
  kind TEXT NOT NULL CHECK (kind IN ('registered', 'dynamic', 'document')),
  name TEXT NOT NULL,
  home_page TEXT,
  logo_uri TEXT,
  redirect_uris TEXT NOT NULL, -- a JSON array of strings
  grant_types TEXT NOT NULL, -- a JSON array of strings
  token_endpoint_auth_method TEXT NOT NULL
    CHECK (token_endpoint_auth_method IN ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt')),
  secret_hash TEXT,
  jwks TEXT, -- JSON
  jwks_uri TEXT,
  requires_par INTEGER NOT NULL DEFAULT 0,
  requires_dpop INTEGER NOT NULL DEFAULT 0,
  access_token_alg TEXT NOT NULL DEFAULT 'EdDSA',
  owner_user_id TEXT REFERENCES users (user_id),
  -- RFC 7592: what a dynamic client reads, changes and deletes its registration with.
  registration_token_hash TEXT,
  created_at INTEGER NOT NULL,
  -- Until when a document need not be fetched again.
  fresh_until INTEGER,
  CHECK ((token_endpoint_auth_method IN ('client_secret_basic', 'client_secret_post')) = (secret_hash IS NOT NULL)),
  CHECK ((token_endpoint_auth_method = 'private_key_jwt') = ((jwks IS NULL) != (jwks_uri IS NULL)))
) STRICT;
INSERT INTO clients_new (client_id, kind, name, home_page, redirect_uris, grant_types, token_endpoint_auth_method, secret_hash,
  owner_user_id, created_at)
  SELECT client_id, 'registered', name, home_page, redirect_uris,
    '["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code","urn:ietf:params:oauth:grant-type:token-exchange"]',
    token_endpoint_auth_method, secret_hash, owner_user_id, created_at FROM clients;
DROP TABLE clients;
ALTER TABLE clients_new RENAME TO clients;
CREATE INDEX clients_by_owner ON clients (owner_user_id, created_at DESC);
CREATE INDEX clients_by_kind ON clients (kind, created_at);

-- What a consent page shows, under a handle, so that it can't change between showing and allowing.
CREATE TABLE authorization_requests (
  handle_hash TEXT PRIMARY KEY,
  session_hash TEXT NOT NULL,
  client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
  request TEXT NOT NULL, -- JSON
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  decided_at INTEGER,
  grant_id TEXT
) STRICT;
CREATE INDEX authorization_requests_by_expiry ON authorization_requests (expires_at);

-- RFC 9126. Used by the first session that opens it.
CREATE TABLE pushed_requests (
  handle_hash TEXT PRIMARY KEY,
  client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
  request TEXT NOT NULL, -- JSON
  expires_at INTEGER NOT NULL,
  -- When a browser without a session came with it, and has time to sign in since.
  opened_at INTEGER,
  used_at INTEGER
) STRICT;
CREATE INDEX pushed_requests_by_client ON pushed_requests (client_id, expires_at);
CREATE INDEX pushed_requests_by_expiry ON pushed_requests (expires_at);

-- RFC 8628.
CREATE TABLE device_codes (
  device_code_hash TEXT PRIMARY KEY,
  user_code TEXT NOT NULL UNIQUE,
  client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
  request TEXT NOT NULL, -- JSON
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  -- Seconds between two polls; grows when the client is too fast.
  interval_seconds INTEGER NOT NULL,
  polled_at_ms INTEGER,
  decided_at INTEGER,
  grant_id TEXT, -- NULL when decided: denied
  auth_time INTEGER,
  redeemed_at INTEGER
) STRICT;
CREATE INDEX device_codes_by_client ON device_codes (client_id, expires_at);
CREATE INDEX device_codes_by_expiry ON device_codes (expires_at);

-- Wrong user codes that a person entered, while they count (RFC 8628 §5.1).
CREATE TABLE device_guesses (
  user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX device_guesses_by_user ON device_guesses (user_id, at);
CREATE INDEX device_guesses_by_time ON device_guesses (at);

-- `jti` of assertions (RFC 7523) and of DPoP proofs (RFC 9449) that were seen at the OAuth endpoints.
CREATE TABLE used_ids (
  id TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX used_ids_by_expiry ON used_ids (expires_at);

-- JSON: the key that tokens are bound to, the resources that they are for, when the user signed in.
ALTER TABLE authorization_codes ADD COLUMN binding TEXT NOT NULL DEFAULT '{}';
ALTER TABLE refresh_tokens ADD COLUMN binding TEXT NOT NULL DEFAULT '{}';
CREATE INDEX authorization_codes_by_expiry ON authorization_codes (expires_at);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX used_sign_in_links_by_use ON used_sign_in_links (used_at);

-- A grant counts once the app has come for its first token; until then for as long as it can.
ALTER TABLE grants ADD COLUMN claimable_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN claimed_at INTEGER;
UPDATE grants SET claimed_at = created_at WHERE EXISTS (
  SELECT 1 FROM authorization_codes AS code WHERE code.grant_id = grants.grant_id AND code.redeemed_at IS NOT NULL);
UPDATE grants SET claimable_until = created_at + 60 WHERE claimed_at IS NULL;
