-- Markdown files under the root of a project, and ranges of their lines. What the files say is on disk
-- alone; a reference keeps the text that it was made for, to find it again and to show what changed.
CREATE TABLE documents (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id     TEXT NOT NULL REFERENCES projects (id),
    -- Relative to the root, with slashes.
    path           TEXT NOT NULL,
    category       TEXT NOT NULL,
    -- A person chose the category: it no longer follows the path.
    category_set   BIGINT NOT NULL,
    description    TEXT,
    pinned         BIGINT NOT NULL,
    bytes          BIGINT NOT NULL,
    -- When the file was changed last, in nanoseconds, and its number in the file system: by both, and by
    -- its size, a change is seen, and a file that was moved is known again.
    modified_ns    BIGINT NOT NULL,
    inode          BIGINT NOT NULL,
    -- The file is no longer there. The row stays as long as something refers to it.
    missing        BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);
CREATE UNIQUE INDEX documents_once ON documents (project_id, path);
CREATE INDEX documents_in_order ON documents (pinned DESC, path, id);
CREATE INDEX documents_missing ON documents (project_id, inode) WHERE missing = 1;

CREATE TABLE document_references (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id  BIGINT NOT NULL REFERENCES documents (id),
    task_id      BIGINT REFERENCES tasks (id),
    -- Where the text was seen last.
    start_line   BIGINT NOT NULL,
    end_line     BIGINT NOT NULL,
    -- Where it was when it was made or accepted last.
    made_start   BIGINT NOT NULL,
    made_end     BIGINT NOT NULL,
    note         TEXT,
    -- The lines as they were when it was made or accepted last, and their fingerprint.
    stored_text  TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE INDEX document_references_by_task ON document_references (task_id, id);
CREATE INDEX document_references_by_document ON document_references (document_id, id);

-- A project's own patterns, a JSON list; without them the server's are in force.
ALTER TABLE projects ADD COLUMN document_patterns TEXT;
-- Its documents were looked for once: what is found from then on is news.
ALTER TABLE projects ADD COLUMN documents_known BIGINT NOT NULL DEFAULT 0;
