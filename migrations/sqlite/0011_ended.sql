-- The list of sessions does not read those that have left it.
CREATE INDEX sessions_listed ON sessions (updated_at, id) WHERE hidden = 0;
