-- Templates of tasks: what is said again and again, with variables for what differs. Nothing has ever
-- written into the table that was here, so that it is made anew.
DROP TABLE prompt_templates;
CREATE TABLE prompt_templates (
    id               TEXT PRIMARY KEY NOT NULL,
    project_id       TEXT NOT NULL REFERENCES projects (id),
    name             TEXT NOT NULL,
    -- With variables, as `{{name}}`.
    title            TEXT NOT NULL,
    description      TEXT NOT NULL,
    priority         BIGINT NOT NULL,
    -- JSON, as tasks have them; the lines of documents as somebody names them.
    labels           TEXT NOT NULL,
    lines            TEXT NOT NULL,
    options          TEXT NOT NULL,
    idempotency_key  TEXT UNIQUE,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX prompt_templates_by_name ON prompt_templates (project_id, name);
CREATE INDEX prompt_templates_in_order ON prompt_templates (created_at, id);

-- Tasks of a project by their labels, and by their status in the order of their making, are read in the
-- order of an index too.
ALTER TABLE task_labels ADD COLUMN task_project TEXT NOT NULL DEFAULT '';
UPDATE task_labels SET task_project = (SELECT project_id FROM tasks WHERE id = task_id);
CREATE INDEX task_labels_by_project ON task_labels (label, task_project, task_rank, task_position, task_id);
CREATE INDEX task_labels_by_project_and_status
    ON task_labels (label, task_project, task_status, task_rank, task_position, task_id);
CREATE INDEX task_labels_by_project_and_age ON task_labels (label, task_project, task_id);
CREATE INDEX task_labels_by_project_status_and_age ON task_labels (label, task_project, task_status, task_id);
CREATE INDEX tasks_by_project_status_and_age ON tasks (project_id, status, id);
