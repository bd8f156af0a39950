-- Claude's own list of what is to be done is read from the calls that change it.
CREATE INDEX command_logs_todos ON command_logs (session_id, id)
    WHERE tool IN ('TodoWrite', 'TaskCreate', 'TaskUpdate');
