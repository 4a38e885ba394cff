-- Who did what, from where: written after it happened, never changed.
CREATE TABLE audit (
  audit_id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  -- Whose account it is about; everything that its owner sees under Activity.
  user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  -- Who did it: person, app, broker.
  actor TEXT NOT NULL CHECK (actor IN ('person', 'app', 'broker')),
  event TEXT NOT NULL,
  grant_id TEXT,
  -- What it was done to, as it was called then: an app, a passkey, a member.
  subject TEXT NOT NULL,
  -- What changed, for people: `5.00 USD → 10.00 USD`.
  detail TEXT NOT NULL,
  address TEXT NOT NULL,
  agent TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_user ON audit (user_id, audit_id DESC);
CREATE INDEX audit_by_grant ON audit (grant_id, audit_id DESC) WHERE grant_id IS NOT NULL;
CREATE INDEX audit_by_time ON audit (at);
