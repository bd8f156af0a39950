-- Claude's own list of what is to be done is read from the calls that change it.
CREATE INDEX command_logs_todos ON command_logs (session_id, id)
    WHERE tool IN ('TodoWrite', 'TaskCreate', 'TaskUpdate');
-- What was done lately, over all sessions and tasks: what is summed up is in the index.
CREATE INDEX command_logs_by_time ON command_logs (timestamp, status, duration_ms);
CREATE INDEX task_attempts_by_end ON task_attempts (ended_at);
