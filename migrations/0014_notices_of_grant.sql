-- What a grant's own page says of it: the latest notices first, without reading the others.
CREATE INDEX notices_of_grant ON notices (grant_id, notice_id DESC);
