-- What was booked, call by call: the ledgers tell it in batches, after the fact, and again where that failed. The key makes it count
-- once. The ledgers themselves never read this table.
CREATE TABLE usage_events (
  grant_id TEXT NOT NULL,
  -- The number of the hold; unique in its grant, in the order in which calls were let through.
  hold INTEGER NOT NULL,
  -- Counts corrections: a later one replaces an earlier.
  revision INTEGER NOT NULL,
  -- Position in the grant's permissions; NULL where several may have carried it.
  permission INTEGER,
  provider TEXT,
  model TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  -- Milliseconds since the epoch.
  reserved_at_ms INTEGER NOT NULL,
  booked_at_ms INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  -- What was booked: money, tokens, requests.
  nano_usd INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  -- What the provider said of it, where it did.
  input_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  -- The provider's status; 0: it never answered.
  status INTEGER NOT NULL,
  -- How the amount is known: usage, bound, overdue, unaccounted, released.
  basis TEXT NOT NULL,
  -- The table of prices.
  price_version TEXT NOT NULL,
  request_id TEXT NOT NULL,
  PRIMARY KEY (grant_id, hold)
) WITHOUT ROWID;
