-- What a person filled into a consent page that they had to sign in for again: a form, as it was posted.
ALTER TABLE authorization_requests ADD COLUMN filled TEXT;

-- What an app has already, for the consent page that it asks on.
CREATE INDEX grants_by_user_and_client ON grants (user_id, client_id, created_at DESC);

-- The limits that a person chose for an app and asked to remember. They go with the person or the app.
CREATE TABLE usual_limits (
  user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
  client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
  usual TEXT NOT NULL, -- JSON
  PRIMARY KEY (user_id, client_id)
) STRICT;
CREATE INDEX usual_limits_by_client ON usual_limits (client_id);
