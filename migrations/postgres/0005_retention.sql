-- Whole texts of results go before the rest of a session's record.
CREATE INDEX command_outputs_by_age ON command_outputs (created_at);
