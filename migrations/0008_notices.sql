-- What people are told of their grants, what operators' programs are told, and what was refused.

-- A cap of which a part is used, or a grant that ends soon. A ledger tells of a cap after the fact, and again where that failed: the
-- key makes it one notice.
CREATE TABLE notices (
  notice_id INTEGER PRIMARY KEY AUTOINCREMENT,
  grant_id TEXT NOT NULL,
  -- Whose grant it is.
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('limit', 'expiry')),
  -- Position in the grant's permissions; -1: over the whole grant.
  permission INTEGER NOT NULL DEFAULT -1,
  -- The limit's name in `authorization_details`; of an expiry nothing.
  cap TEXT NOT NULL DEFAULT '',
  -- What a budget is for, and the number of its day or month.
  period TEXT NOT NULL DEFAULT 'total',
  period_number INTEGER NOT NULL DEFAULT 0,
  -- What the limit allows, money in nano-USD; when the grant ends.
  allowed INTEGER NOT NULL,
  -- 50, 80 or 100 per cent; so many days before the end.
  threshold INTEGER NOT NULL,
  -- What was booked by then.
  used INTEGER NOT NULL DEFAULT 0,
  at INTEGER NOT NULL,
  read_at INTEGER,
  UNIQUE (grant_id, kind, permission, cap, period, period_number, allowed, threshold)
) STRICT;
CREATE INDEX notices_by_user ON notices (user_id, notice_id DESC);
CREATE INDEX notices_unread ON notices (user_id, notice_id DESC) WHERE read_at IS NULL;
CREATE INDEX notices_by_time ON notices (at);

-- Grants that end soon.
CREATE INDEX grants_by_expiry ON grants (expires_at) WHERE revoked_at IS NULL;

-- Calls that were refused, by grant and reason, in runs: a ledger tells the sum of the run, so that it counts once however often it is
-- told.
CREATE TABLE refusals (
  grant_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  count INTEGER NOT NULL,
  first_at_ms INTEGER NOT NULL,
  last_at_ms INTEGER NOT NULL,
  -- What model the last one asked for. A stranger chose it.
  last_model TEXT NOT NULL,
  PRIMARY KEY (grant_id, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_by_time ON refusals (last_at_ms);

-- Where an operator's program is told. At most one.
CREATE TABLE webhooks (
  webhook_id INTEGER PRIMARY KEY CHECK (webhook_id = 1),
  url TEXT NOT NULL,
  -- The secret is made of this and of a key that is not here.
  secret_name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE webhook_deliveries (
  delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- The header `webhook-id`.
  message_id TEXT NOT NULL UNIQUE DEFAULT ('msg_' || lower(hex(randomblob(16)))),
  type TEXT NOT NULL CHECK (type IN ('grant.limit_reached', 'grant.expiring', 'grant.revoked', 'ping')),
  notice_id INTEGER,
  grant_id TEXT,
  -- When what it tells of happened.
  at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  -- NULL: delivered, or given up.
  next_attempt_at INTEGER,
  last_attempt_at INTEGER,
  delivered_at INTEGER,
  -- The HTTP status of the last attempt; NULL: there was no answer.
  status INTEGER,
  -- Why the last attempt failed, in a word.
  error TEXT
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (at);

-- Whoever writes a notice or ends a grant, in whatever way, writes in the same moment that it is to be told.
CREATE TRIGGER notice_is_delivered AFTER INSERT ON notices WHEN EXISTS (SELECT 1 FROM webhooks)
BEGIN
  INSERT INTO webhook_deliveries (type, notice_id, grant_id, at, next_attempt_at)
    VALUES (iif(NEW.kind = 'limit', 'grant.limit_reached', 'grant.expiring'), NEW.notice_id, NEW.grant_id, NEW.at, NEW.at);
  END;
CREATE TRIGGER revocation_is_delivered AFTER UPDATE OF revoked_at ON grants
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND EXISTS (SELECT 1 FROM webhooks)
BEGIN
  INSERT INTO webhook_deliveries (type, grant_id, at, next_attempt_at)
    VALUES ('grant.revoked', NEW.grant_id, NEW.revoked_at, NEW.revoked_at);
  END;
