-- What the operator lets members hand on. One row; what holds for a member is told to the ledger of their account.
CREATE TABLE policies (
  -- Whom it is for: `members`.
  subject TEXT PRIMARY KEY,
  policy TEXT NOT NULL, -- JSON
  -- Counts changes, from 1 on.
  revision INTEGER NOT NULL,
  saved_at INTEGER NOT NULL
) STRICT;

-- A removed member: their sessions count no more, and their account lets no call through. The row stays, for what they used stays.
ALTER TABLE users ADD COLUMN removed_at INTEGER;
-- The policy that the ledger of the member's account knows: 0 for none, NULL while that ledger has never been used.
ALTER TABLE users ADD COLUMN policy_seen INTEGER;
