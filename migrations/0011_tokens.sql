-- Tokens that people make for themselves: grants without an app. Their client is one that no app can be.
CREATE INDEX grants_personal ON grants (user_id, created_at DESC) WHERE client_id = 'personal';
