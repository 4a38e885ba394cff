-- What calls cost above what was held for them.

-- Part of `nano_usd`.
ALTER TABLE usage_events ADD COLUMN over_bound_nano_usd INTEGER NOT NULL DEFAULT 0;

-- Sums of that, of everybody's calls. A day is that of UTC in which a call was let through.
CREATE TABLE over_bound_days (
  -- Days since the epoch.
  day INTEGER NOT NULL,
  -- Empty where nobody knows.
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  calls INTEGER NOT NULL,
  nano_usd INTEGER NOT NULL,
  PRIMARY KEY (day, provider, model)
) STRICT, WITHOUT ROWID;

-- One more type of what a program is told, and the call that it is about.
DROP TRIGGER notice_is_delivered;
DROP TRIGGER revocation_is_delivered;
CREATE TABLE webhook_deliveries_new (
  delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id TEXT NOT NULL UNIQUE DEFAULT ('msg_' || lower(hex(randomblob(16)))),
  type TEXT NOT NULL CHECK (type IN ('grant.limit_reached', 'grant.expiring', 'grant.revoked', 'call.over_bound', 'ping')),
  notice_id INTEGER,
  grant_id TEXT,
  -- The call, in its grant: `usage_events.hold`.
  hold INTEGER,
  at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at INTEGER,
  last_attempt_at INTEGER,
  delivered_at INTEGER,
  status INTEGER,
  error TEXT
) STRICT;
INSERT INTO webhook_deliveries_new
    (delivery_id, message_id, type, notice_id, grant_id, at, attempts, next_attempt_at, last_attempt_at, delivered_at, status, error)
  SELECT delivery_id, message_id, type, notice_id, grant_id, at, attempts, next_attempt_at, last_attempt_at, delivered_at, status, error
  FROM webhook_deliveries;
DROP TABLE webhook_deliveries;
ALTER TABLE webhook_deliveries_new RENAME TO webhook_deliveries;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (at);
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

-- Whoever writes such a booking sums it up and has it told, in the same moment and once: what is there already is not written again. A
-- correction takes away what it corrects.
CREATE TRIGGER over_bound_is_summed AFTER INSERT ON usage_events WHEN NEW.over_bound_nano_usd > 0
BEGIN
  INSERT INTO over_bound_days (day, provider, model, calls, nano_usd)
    VALUES (NEW.reserved_at_ms / 86400000, coalesce(NEW.provider, ''), NEW.model, 1, NEW.over_bound_nano_usd)
    ON CONFLICT DO UPDATE SET calls = calls + 1, nano_usd = min(nano_usd + excluded.nano_usd, 1 << 53);
  INSERT INTO webhook_deliveries (type, grant_id, hold, at, next_attempt_at)
    SELECT 'call.over_bound', NEW.grant_id, NEW.hold, NEW.booked_at_ms / 1000, NEW.booked_at_ms / 1000 FROM webhooks;
  END;
CREATE TRIGGER over_bound_is_corrected AFTER UPDATE OF over_bound_nano_usd ON usage_events
WHEN OLD.over_bound_nano_usd > 0 OR NEW.over_bound_nano_usd > 0
BEGIN
  UPDATE over_bound_days SET calls = max(calls - 1, 0), nano_usd = max(nano_usd - OLD.over_bound_nano_usd, 0)
    WHERE OLD.over_bound_nano_usd > 0 AND day = OLD.reserved_at_ms / 86400000 AND provider = coalesce(OLD.provider, '')
    AND model = OLD.model;
  INSERT INTO over_bound_days (day, provider, model, calls, nano_usd)
    SELECT NEW.reserved_at_ms / 86400000, coalesce(NEW.provider, ''), NEW.model, 1, NEW.over_bound_nano_usd
    WHERE NEW.over_bound_nano_usd > 0
    ON CONFLICT DO UPDATE SET calls = calls + 1, nano_usd = min(nano_usd + excluded.nano_usd, 1 << 53);
  INSERT INTO webhook_deliveries (type, grant_id, hold, at, next_attempt_at)
    SELECT 'call.over_bound', NEW.grant_id, NEW.hold, NEW.booked_at_ms / 1000, NEW.booked_at_ms / 1000 FROM webhooks
    WHERE OLD.over_bound_nano_usd = 0 AND NEW.over_bound_nano_usd > 0;
  END;
