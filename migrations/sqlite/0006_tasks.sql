-- Tasks: what people think in. Their ids are small numbers that are never given twice.
CREATE TABLE tasks (
    id               INTEGER PRIMARY KEY NOT NULL,
    project_id       TEXT NOT NULL REFERENCES projects (id),
    title            TEXT NOT NULL,
    description      TEXT NOT NULL,
    -- The negative of its priority, as what lists are ordered by ascends: rank, position, id.
    rank             BIGINT NOT NULL,
    -- Among tasks of the same priority: where people put it.
    position         BIGINT NOT NULL,
    status           TEXT NOT NULL,
    -- The queue may start it as soon as there is room and nothing that it waits for is open.
    queued           BIGINT NOT NULL,
    -- Where it runs, or ran last.
    -- That session may be forgotten by now.
    session_id       TEXT,
    -- How often it was started.
    attempts         BIGINT NOT NULL,
    -- Its labels and what it depends on, as JSON; the tables below are there to find it by them.
    labels           TEXT NOT NULL,
    depends_on       TEXT NOT NULL,
    -- How it is started: launch options, workspace, how the prompt is given. JSON.
    options          TEXT NOT NULL,
    result           TEXT,
    restarts         BIGINT NOT NULL,
    idempotency_key  TEXT UNIQUE,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    started_at       BIGINT,
    completed_at     BIGINT
);
CREATE INDEX tasks_by_rank ON tasks (rank, position, id);
CREATE INDEX tasks_by_status ON tasks (status, rank, position, id);
CREATE INDEX tasks_by_status_and_age ON tasks (status, id);
CREATE INDEX tasks_by_project ON tasks (project_id, rank, position, id);
CREATE INDEX tasks_by_project_and_status ON tasks (project_id, status, rank, position, id);
CREATE INDEX tasks_by_project_and_age ON tasks (project_id, id);
CREATE INDEX tasks_by_session ON tasks (session_id, id);
-- Only pending tasks are queued.
CREATE INDEX tasks_queued ON tasks (rank, position, id) WHERE queued = 1;

-- The last number that was given of each kind: none is given twice, whatever was deleted.
CREATE TABLE counters (
    name   TEXT PRIMARY KEY NOT NULL,
    value  BIGINT NOT NULL
);

-- With what tasks are listed by, so that those with a label are read in their order.
CREATE TABLE task_labels (
    task_id        BIGINT NOT NULL REFERENCES tasks (id),
    label          TEXT NOT NULL,
    task_rank      BIGINT NOT NULL,
    task_position  BIGINT NOT NULL,
    task_status    TEXT NOT NULL,
    PRIMARY KEY (task_id, label)
);
CREATE INDEX task_labels_by_rank ON task_labels (label, task_rank, task_position, task_id);
CREATE INDEX task_labels_by_status ON task_labels (label, task_status, task_rank, task_position, task_id);
CREATE INDEX task_labels_by_age ON task_labels (label, task_id);
CREATE INDEX task_labels_by_status_and_age ON task_labels (label, task_status, task_id);

CREATE TABLE task_dependencies (
    task_id     BIGINT NOT NULL REFERENCES tasks (id),
    -- What has to be completed before.
    depends_on  BIGINT NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (task_id, depends_on)
);
CREATE INDEX task_dependencies_by_need ON task_dependencies (depends_on, task_id);

-- Each start of a task.
CREATE TABLE task_attempts (
    task_id      BIGINT NOT NULL REFERENCES tasks (id),
    number       BIGINT NOT NULL,
    session_id   TEXT NOT NULL,
    -- The session was made for it, and ends with it.
    own_session  BIGINT NOT NULL,
    -- Where its edits go: `gitbutler`, `worktree` or `none`; the branch, what it is based on, and the
    -- directory that it has for itself.
    git_backend  TEXT NOT NULL,
    branch       TEXT,
    base_commit  TEXT,
    worktree     TEXT,
    -- Exactly what Claude got.
    prompt       TEXT NOT NULL,
    -- The message by which Claude got it.
    message_id   TEXT,
    -- Claude's turn has ended and nothing has begun since.
    turn_ended_at BIGINT,
    outcome      TEXT,
    result       TEXT,
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    PRIMARY KEY (task_id, number)
);
CREATE INDEX task_attempts_by_session ON task_attempts (session_id);

CREATE TABLE prompt_templates (
    id           TEXT PRIMARY KEY NOT NULL,
    project_id   TEXT REFERENCES projects (id),
    name         TEXT NOT NULL,
    title        TEXT NOT NULL,
    description  TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX prompt_templates_by_name ON prompt_templates (name);

-- What a session works on; its record says for what each line was.
ALTER TABLE sessions ADD COLUMN task_id BIGINT;
ALTER TABLE session_messages ADD COLUMN task_id BIGINT;
ALTER TABLE command_logs ADD COLUMN task_id BIGINT;
ALTER TABLE token_usage ADD COLUMN task_id BIGINT;
ALTER TABLE permission_requests ADD COLUMN task_id BIGINT;
