-- What the start page and the list of grants read, however much was called and however many grants there are.

-- Sums over `usage_events`, written in one batch with what they sum up (`edge::d1::usage_sums`). A month and a day are those of UTC in
-- which a call was let through.
CREATE TABLE usage_months (
  user_id TEXT NOT NULL,
  -- Months since the beginning of the year 0.
  month INTEGER NOT NULL,
  client_id TEXT NOT NULL,
  -- Empty where nobody knows.
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  -- The app's name, as the user saw it when they allowed the latest grant that called.
  app TEXT NOT NULL,
  calls INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  nano_usd INTEGER NOT NULL,
  PRIMARY KEY (user_id, month, client_id, provider, model)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage_days (
  user_id TEXT NOT NULL,
  -- Days since the epoch.
  day INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  nano_usd INTEGER NOT NULL,
  PRIMARY KEY (user_id, day)
) STRICT, WITHOUT ROWID;

-- What was booked so far. What a version before this one books after it is in no sum: change the Worker right after the database.
INSERT INTO usage_months
  SELECT g.user_id,
    strftime('%Y', e.reserved_at_ms / 1000, 'unixepoch') * 12 + strftime('%m', e.reserved_at_ms / 1000, 'unixepoch') - 1,
    g.client_id, coalesce(e.provider, ''), e.model, max(g.client_name), sum(e.requests), sum(e.tokens), sum(e.nano_usd)
  FROM usage_events AS e JOIN grants AS g ON g.grant_id = e.grant_id GROUP BY 1, 2, 3, 4, 5;
INSERT INTO usage_days
  SELECT g.user_id, e.reserved_at_ms / 86400000, sum(e.requests), sum(e.tokens), sum(e.nano_usd)
  FROM usage_events AS e JOIN grants AS g ON g.grant_id = e.grant_id GROUP BY 1, 2;

-- A user's grants by age, with all that the list chooses them by, so that it reads the rows of those alone that it shows.
ALTER TABLE grants ADD COLUMN paused INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(terms ->> '$.paused', 0)) VIRTUAL;
CREATE INDEX grants_of_user_by_age
  ON grants (user_id, created_at DESC, grant_id, revoked_at, expires_at, claimed_at, claimable_until, paused, client_name);
DROP INDEX grants_by_user;
-- Which of them end soon.
CREATE INDEX grants_of_user_by_end ON grants (user_id, expires_at, claimed_at, claimable_until) WHERE revoked_at IS NULL;
