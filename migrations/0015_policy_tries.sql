-- When somebody last tried to tell the ledger of a member's account what the policy is: whoever can't be told stands behind the others.
ALTER TABLE users ADD COLUMN policy_tried_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX users_by_policy ON users (policy_tried_at, user_id, policy_seen) WHERE removed_at IS NULL AND policy_seen IS NOT NULL;
