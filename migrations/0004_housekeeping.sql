-- What the hourly clean-up looks for, found without reading whole tables.
CREATE INDEX grants_unclaimed ON grants (claimable_until) WHERE claimed_at IS NULL;
-- Whether somebody is just asked about a client; also what deleting a client takes along.
CREATE INDEX authorization_requests_by_client ON authorization_requests (client_id);
-- Documents by their freshness; dynamic clients by their registration already have one.
CREATE INDEX clients_by_freshness ON clients (fresh_until) WHERE kind = 'document';
