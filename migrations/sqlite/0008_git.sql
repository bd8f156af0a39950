-- How a project's edits are kept apart. JSON: backend, base branch, and what makes a worktree ready to run.
ALTER TABLE projects ADD COLUMN git TEXT NOT NULL DEFAULT '{}';

-- Which task changed which file since its last commit. A path belongs to at most one task of a project.
CREATE TABLE path_claims (
    project_id  TEXT NOT NULL REFERENCES projects (id),
    -- Relative to the repository's root, with slashes.
    path        TEXT NOT NULL,
    task_id     BIGINT NOT NULL REFERENCES tasks (id),
    session_id  TEXT NOT NULL REFERENCES sessions (id),
    -- What told of it: a file-editing tool, or Bash.
    source      TEXT NOT NULL,
    claimed_at  BIGINT NOT NULL,
    -- The commit that it is in; claimed still, as the task goes on.
    commit_id   TEXT,
    PRIMARY KEY (project_id, path)
);
CREATE INDEX path_claims_by_task ON path_claims (task_id);
