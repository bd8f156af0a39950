-- Rules for all sessions, for a project's, or for one: "allow for the session" becomes one of them.
DROP INDEX permission_rules_by_session;
ALTER TABLE permission_rules RENAME TO session_rules;

CREATE TABLE permission_rules (
    id           TEXT PRIMARY KEY NOT NULL,
    action       TEXT NOT NULL,
    tool         TEXT NOT NULL,
    command      TEXT,
    path         TEXT,
    project_id   TEXT REFERENCES projects (id),
    session_id   TEXT REFERENCES sessions (id),
    note         TEXT,
    created_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    hits         BIGINT NOT NULL DEFAULT 0,
    last_hit_at  BIGINT
);

-- What was one exact subject is now a pattern, in which `*` and `\` are escaped.
INSERT INTO permission_rules (id, action, tool, command, path, session_id, created_by, created_at, updated_at)
SELECT
    lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4'
        || substr(lower(hex(randomblob(2))), 2) || '-8' || substr(lower(hex(randomblob(2))), 2)
        || '-' || lower(hex(randomblob(6))),
    'allow',
    tool,
    CASE WHEN tool NOT IN ('Write', 'Edit', 'MultiEdit', 'Read', 'NotebookEdit')
        THEN replace(replace(subject, '\', '\\'), '*', '\*') END,
    CASE WHEN tool IN ('Write', 'Edit', 'MultiEdit', 'Read', 'NotebookEdit')
        THEN replace(replace(subject, '\', '\\'), '*', '\*') END,
    session_id,
    'api',
    created_at,
    created_at
FROM session_rules;
DROP TABLE session_rules;

-- What was used instead of Claude's input; which rule decided, or left it to people.
ALTER TABLE permission_requests ADD COLUMN updated_input TEXT;
ALTER TABLE permission_requests ADD COLUMN rule_id TEXT;
ALTER TABLE permission_requests ADD COLUMN rule TEXT;
CREATE INDEX permission_requests_in_order ON permission_requests (requested_at, id);

-- Each row is bound to the one before it: `prev` is that one's `hash`. Ids are given without a gap,
-- by whoever holds the lock of writers.
CREATE TABLE audit_log (
    id          BIGINT PRIMARY KEY NOT NULL,
    at          BIGINT NOT NULL,
    actor_kind  TEXT NOT NULL,
    actor_name  TEXT,
    action      TEXT NOT NULL,
    session_id  TEXT,
    subject_id  TEXT,
    data        TEXT NOT NULL,
    prev        TEXT NOT NULL,
    hash        TEXT NOT NULL
);
CREATE INDEX audit_log_by_session ON audit_log (session_id, id);
CREATE INDEX audit_log_by_subject ON audit_log (subject_id, id);
