-- Sessions in the order they were made, which does not move while somebody pages through it.
CREATE INDEX sessions_by_age ON sessions (created_at, id);
CREATE INDEX sessions_listed_by_age ON sessions (created_at, id) WHERE hidden = 0;
