-- Where what strangers leave here came from: a keyed hash of a network (/24 of IPv4, /48 of IPv6), never an address. Of the network that
-- has left the most the oldest goes first, so that a flood makes room out of itself.
ALTER TABLE device_codes ADD COLUMN network TEXT NOT NULL DEFAULT '';
ALTER TABLE pushed_requests ADD COLUMN network TEXT NOT NULL DEFAULT '';

-- Of a client only as long as nobody has granted it anything: from then on nothing makes it go, and nobody needs to know.
ALTER TABLE clients ADD COLUMN network TEXT;
UPDATE clients SET network = '' WHERE kind IN ('dynamic', 'document')
  AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id);
CREATE INDEX clients_by_network ON clients (kind, network) WHERE network IS NOT NULL;
CREATE TRIGGER granted_client_has_no_network AFTER INSERT ON grants
BEGIN
  UPDATE clients SET network = NULL WHERE client_id = NEW.client_id AND network IS NOT NULL;
  END;

-- JSON: what an app said of itself at its registration that nothing depends on (contacts and the like), to be repeated to it.
ALTER TABLE clients ADD COLUMN described TEXT;
