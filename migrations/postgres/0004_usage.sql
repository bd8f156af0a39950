-- What responses cost, and running sums of what sessions use: a sum is read without looking at what it is
-- made of. Money is in nanodollars.
ALTER TABLE token_usage ADD COLUMN request_id TEXT COLLATE "C";
ALTER TABLE token_usage ADD COLUMN told_nanos BIGINT;
ALTER TABLE token_usage ADD COLUMN estimated_nanos BIGINT;
ALTER TABLE token_usage ADD COLUMN responded_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX token_usage_by_request ON token_usage (conversation_id, request_id);
-- A fork's transcript begins with a copy of another's.
CREATE INDEX token_usage_by_message ON token_usage (message_id);
-- Only the sums below are asked for by session.
DROP INDEX token_usage_by_session;

CREATE TABLE session_usage (
    session_id                   TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES sessions (id),
    responses                    BIGINT NOT NULL,
    unpriced                     BIGINT NOT NULL,
    input_tokens                 BIGINT NOT NULL,
    output_tokens                BIGINT NOT NULL,
    cache_creation_input_tokens  BIGINT NOT NULL,
    cache_read_input_tokens      BIGINT NOT NULL,
    told_nanos                   BIGINT NOT NULL,
    estimated_nanos              BIGINT NOT NULL
);

-- The same by model and by day: days since the Unix epoch, in UTC.
CREATE TABLE usage_days (
    session_id                   TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    model                        TEXT COLLATE "C" NOT NULL,
    day                          BIGINT NOT NULL,
    responses                    BIGINT NOT NULL,
    unpriced                     BIGINT NOT NULL,
    input_tokens                 BIGINT NOT NULL,
    output_tokens                BIGINT NOT NULL,
    cache_creation_input_tokens  BIGINT NOT NULL,
    cache_read_input_tokens      BIGINT NOT NULL,
    told_nanos                   BIGINT NOT NULL,
    estimated_nanos              BIGINT NOT NULL,
    PRIMARY KEY (session_id, day, model)
);
CREATE INDEX usage_days_by_day ON usage_days (day);

-- What was counted before: its day is that on which its conversation began, and its price is not known.
INSERT INTO session_usage
SELECT session_id, COUNT(*), COUNT(*), SUM(input_tokens), SUM(output_tokens),
    SUM(cache_creation_input_tokens), SUM(cache_read_input_tokens), 0, 0
FROM token_usage GROUP BY session_id;
INSERT INTO usage_days
SELECT u.session_id, u.model, c.started_at / 86400000, COUNT(*), COUNT(*), SUM(u.input_tokens),
    SUM(u.output_tokens), SUM(u.cache_creation_input_tokens), SUM(u.cache_read_input_tokens), 0, 0
FROM token_usage u JOIN conversations c ON c.id = u.conversation_id
GROUP BY u.session_id, u.model, c.started_at / 86400000;
