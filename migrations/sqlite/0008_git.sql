-- How a project's edits are kept apart. JSON: backend, base branch, and what makes a worktree ready to run.
ALTER TABLE projects ADD COLUMN git TEXT NOT NULL DEFAULT '{}';

-- Which task that is not over has edited which file, where several share a directory. A file has at most
-- one of a project's tasks.
CREATE TABLE path_claims (
    project_id  TEXT NOT NULL REFERENCES projects (id),
    -- Relative to the repository's root, with slashes.
    path        TEXT NOT NULL,
    task_id     BIGINT NOT NULL REFERENCES tasks (id),
    session_id  TEXT NOT NULL,
    -- What told of it: a file-editing tool, or Bash.
    source      TEXT NOT NULL,
    claimed_at  BIGINT NOT NULL,
    PRIMARY KEY (project_id, path)
);
CREATE INDEX path_claims_by_task ON path_claims (task_id);

-- The last commit of an attempt's branch that Chorus knows of, kept when the branch is discarded; and what
-- keeps its edits from being committed.
ALTER TABLE task_attempts ADD COLUMN head_commit TEXT;
ALTER TABLE task_attempts ADD COLUMN git_problem TEXT;
CREATE INDEX task_attempts_by_worktree ON task_attempts (worktree) WHERE worktree IS NOT NULL;
