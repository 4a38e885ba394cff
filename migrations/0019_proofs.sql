-- What people allowed, by whatever way, and whether they had proved a short while before that it is them: how much goes without a proof
-- depends on it (`domain::risk`).
CREATE TABLE allowed (
  user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  -- What was allowed, and how much: the same form, sent twice, counts once.
  deed TEXT NOT NULL,
  at INTEGER NOT NULL,
  is_proven INTEGER NOT NULL CHECK (is_proven IN (0, 1)),
  -- The most that it can cost until it ends; without a limit: the largest number that is stored.
  nano_usd INTEGER NOT NULL,
  -- Until it ends.
  seconds INTEGER NOT NULL,
  PRIMARY KEY (user_id, deed)
) STRICT, WITHOUT ROWID;
CREATE INDEX allowed_by_time ON allowed (user_id, is_proven, at, nano_usd, seconds);

-- What a person ever allowed something to be used for, at which provider.
CREATE TABLE allowed_uses (
  user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  provider TEXT NOT NULL,
  capability TEXT NOT NULL,
  PRIMARY KEY (user_id, provider, capability)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO allowed_uses
  SELECT user_id, permission.value ->> '$.provider', use.value
  FROM grants, json_each(grants.terms, '$.permissions') AS permission, json_each(permission.value, '$.capabilities') AS use;
-- Whoever makes a grant, in whatever way, writes it in the same moment.
CREATE TRIGGER uses_are_known AFTER INSERT ON grants
BEGIN
  INSERT OR IGNORE INTO allowed_uses
    SELECT NEW.user_id, permission.value ->> '$.provider', use.value
    FROM json_each(NEW.terms, '$.permissions') AS permission, json_each(permission.value, '$.capabilities') AS use;
  END;

-- Where the answers went that a person allowed: `https://` and the host, a scheme and `:`, or `this device`.
CREATE TABLE allowed_destinations (
  destination TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  PRIMARY KEY (destination, user_id)
) STRICT, WITHOUT ROWID;
-- Of what was allowed so far it is only known where it may have gone.
INSERT OR IGNORE INTO allowed_destinations
  SELECT CASE
      WHEN uri.value LIKE 'http://%' THEN 'this device'
      WHEN uri.value LIKE 'https://%' THEN 'https://' || lower(substr(substr(uri.value, 9), 1, instr(substr(uri.value, 9) || '/', '/') - 1))
      ELSE lower(substr(uri.value, 1, instr(uri.value, ':')))
    END, grants.user_id
  FROM grants JOIN clients USING (client_id), json_each(clients.redirect_uris) AS uri WHERE grants.claimed_at IS NOT NULL;
