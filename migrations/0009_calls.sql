-- The delegation that made a call, if one did.
ALTER TABLE usage_events ADD COLUMN delegation TEXT;
-- A grant's calls by time, and by model and time. What is filtered by and summed up stands in the index too: the rows themselves are
-- read for what is shown alone.
CREATE INDEX usage_events_by_time ON usage_events (grant_id, reserved_at_ms, hold, status, nano_usd);
CREATE INDEX usage_events_by_model ON usage_events (grant_id, model, reserved_at_ms, hold, status, nano_usd);
