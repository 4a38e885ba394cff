-- What pages read stays as much as they show, also of somebody who has been here for long.

-- Whose grant's calls were refused; by a name that no statement of the version before this one takes for another column. What that one
-- still notes has no owner, and is on no list until it is noted again.
ALTER TABLE refusals ADD COLUMN owner_id TEXT NOT NULL DEFAULT '';
UPDATE refusals SET owner_id = coalesce((SELECT user_id FROM grants WHERE grants.grant_id = refusals.grant_id), '');
CREATE INDEX refusals_by_owner ON refusals (owner_id, last_at_ms DESC, grant_id, reason);

-- Which limits were nearly used up lately.
CREATE INDEX notices_near_limits ON notices (user_id, at DESC, notice_id DESC, grant_id) WHERE kind = 'limit' AND threshold >= 80;

-- What an app has already: those that were taken back are not looked at, and the others in the order in which they are shown.
CREATE INDEX grants_of_user_and_client
  ON grants (user_id, client_id, created_at DESC, grant_id, expires_at, claimed_at, claimable_until, revoked_at) WHERE revoked_at IS NULL;
DROP INDEX grants_by_user_and_client;

-- Anew, so that counting a person's grants reads no rows: what an index is of has to stand in it too.
DROP INDEX grants_of_user_by_end;
CREATE INDEX grants_of_user_by_end ON grants (user_id, expires_at, claimed_at, claimable_until, revoked_at) WHERE revoked_at IS NULL;

-- Apps, and people, in the order in which they are listed; and members whose account knows an earlier policy.
CREATE INDEX clients_by_standing ON clients (kind = 'registered' DESC, created_at DESC, client_id);
CREATE INDEX clients_of_owner_by_standing ON clients (owner_user_id, kind = 'registered' DESC, created_at DESC, client_id);
DROP INDEX clients_by_owner;
CREATE INDEX users_by_standing ON users (role = 'operator' DESC, created_at, user_id) WHERE removed_at IS NULL;
CREATE INDEX users_by_policy_seen ON users (policy_seen, user_id) WHERE removed_at IS NULL;

-- What is noted of a person, with what it is chosen by, so that entries of another kind are passed over in the index.
CREATE INDEX audit_by_user_and_event ON audit (user_id, audit_id DESC, event, grant_id);
DROP INDEX audit_by_user;
