-- Times are milliseconds since the Unix epoch. Ids that we make are UUIDv7 as text, so that both
-- databases order them alike. JSON is text: nothing inside it is queried.

CREATE TABLE projects (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL UNIQUE,
    root        TEXT NOT NULL UNIQUE,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE TABLE sessions (
    id              TEXT PRIMARY KEY NOT NULL,
    project_id      TEXT NOT NULL REFERENCES projects (id),
    name            TEXT NOT NULL,
    tmux_session    TEXT NOT NULL,
    runtime         TEXT NOT NULL,
    workspace_path  TEXT NOT NULL,
    launch          TEXT NOT NULL,
    metadata        TEXT NOT NULL,
    claude_version  TEXT,
    -- `state` holds the reducer's whole state; the columns after it repeat what lists filter by.
    state           TEXT NOT NULL,
    status          TEXT NOT NULL,
    claude_status   TEXT NOT NULL,
    live            BIGINT NOT NULL,
    hidden          BIGINT NOT NULL DEFAULT 0,
    idempotency_key TEXT UNIQUE,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX sessions_live_name ON sessions (name) WHERE live = 1;
CREATE INDEX sessions_by_name ON sessions (name, created_at);
CREATE INDEX sessions_by_update ON sessions (updated_at, id);

CREATE TABLE conversations (
    id                 TEXT PRIMARY KEY NOT NULL,
    session_id         TEXT NOT NULL REFERENCES sessions (id),
    transcript_path    TEXT,
    transcript_offset  BIGINT NOT NULL DEFAULT 0,
    transcript_file    TEXT,
    started_at         BIGINT NOT NULL,
    ended_at           BIGINT,
    end_reason         TEXT
);
CREATE INDEX conversations_by_session ON conversations (session_id, started_at);

CREATE TABLE session_messages (
    id               TEXT PRIMARY KEY NOT NULL,
    session_id       TEXT NOT NULL REFERENCES sessions (id),
    conversation_id  TEXT,
    -- Made of Claude Code's own ids: the same utterance has the same key from every source.
    utterance_key    TEXT,
    direction        TEXT NOT NULL,
    content          TEXT NOT NULL,
    source           TEXT NOT NULL,
    -- What is still to be sent, exactly; cleared once it arrived.
    outgoing         TEXT,
    raw              BIGINT NOT NULL DEFAULT 0,
    clear_draft      BIGINT NOT NULL DEFAULT 0,
    -- Of the exact text, to know it again in the transcript.
    prompt_digest    TEXT,
    delivery_status  TEXT,
    delivery_error   TEXT,
    agent_id         TEXT,
    idempotency_key  TEXT,
    timestamp        BIGINT NOT NULL
);
CREATE UNIQUE INDEX session_messages_once ON session_messages (conversation_id, utterance_key);
CREATE UNIQUE INDEX session_messages_idempotent ON session_messages (session_id, idempotency_key);
CREATE INDEX session_messages_in_order ON session_messages (session_id, timestamp, id);
CREATE INDEX session_messages_to_claim ON session_messages (session_id, prompt_digest)
    WHERE prompt_digest IS NOT NULL AND utterance_key IS NULL;
CREATE INDEX session_messages_under_way ON session_messages (session_id, id)
    WHERE delivery_status IN ('queued', 'sending');

CREATE TABLE command_logs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id       TEXT NOT NULL REFERENCES sessions (id),
    conversation_id  TEXT,
    tool_use_id      TEXT NOT NULL,
    tool             TEXT NOT NULL,
    input            TEXT NOT NULL,
    result           TEXT,
    result_bytes     BIGINT,
    result_sha256    TEXT,
    status           TEXT NOT NULL,
    duration_ms      BIGINT,
    agent_id         TEXT,
    timestamp        BIGINT NOT NULL
);
CREATE UNIQUE INDEX command_logs_once ON command_logs (session_id, tool_use_id);
CREATE INDEX command_logs_in_order ON command_logs (session_id, timestamp, id);

-- The whole text of results that were cut in their row.
CREATE TABLE command_outputs (
    session_id   TEXT NOT NULL,
    tool_use_id  TEXT NOT NULL,
    output       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (session_id, tool_use_id)
);

CREATE TABLE token_usage (
    conversation_id              TEXT NOT NULL,
    message_id                   TEXT NOT NULL,
    session_id                   TEXT NOT NULL,
    model                        TEXT NOT NULL,
    input_tokens                 BIGINT NOT NULL,
    output_tokens                BIGINT NOT NULL,
    cache_creation_input_tokens  BIGINT NOT NULL,
    cache_read_input_tokens      BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, message_id)
);
CREATE INDEX token_usage_by_session ON token_usage (session_id);

CREATE TABLE permission_requests (
    id               TEXT PRIMARY KEY NOT NULL,
    session_id       TEXT NOT NULL REFERENCES sessions (id),
    conversation_id  TEXT,
    tool             TEXT NOT NULL,
    input            TEXT NOT NULL,
    summary          TEXT NOT NULL,
    tool_use_id      TEXT,
    agent_type       TEXT,
    status           TEXT NOT NULL,
    verdict          TEXT,
    message          TEXT,
    interrupts       BIGINT NOT NULL DEFAULT 0,
    decided_by       TEXT,
    requested_at     BIGINT NOT NULL,
    decided_at       BIGINT,
    updated_at       BIGINT NOT NULL
);
CREATE INDEX permission_requests_open ON permission_requests (requested_at, id)
    WHERE status IN ('pending', 'decided', 'delivered');
CREATE INDEX permission_requests_by_session ON permission_requests (session_id, requested_at);

-- For now only "allow for the session".
CREATE TABLE permission_rules (
    session_id  TEXT NOT NULL REFERENCES sessions (id),
    tool        TEXT NOT NULL,
    subject     TEXT,
    created_at  BIGINT NOT NULL
);
CREATE INDEX permission_rules_by_session ON permission_rules (session_id);

CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    session_id  TEXT,
    -- Set where a source may deliver the same event twice.
    dedupe_key  TEXT UNIQUE,
    data        TEXT NOT NULL
);
CREATE INDEX events_by_session ON events (session_id, id);
