-- How far the transcripts of a conversation's sub-agents have been read: each has a file of its own.
CREATE TABLE subagent_transcripts (
    conversation_id    TEXT COLLATE "C" NOT NULL REFERENCES conversations (id),
    agent_id           TEXT COLLATE "C" NOT NULL,
    transcript_offset  BIGINT NOT NULL,
    transcript_file    TEXT NOT NULL,
    PRIMARY KEY (conversation_id, agent_id)
);
