//! Reading a transcript into the record, from where it was read last.

use std::path::Path;

use super::observe::{ReadTo, Report};
use super::{App, ingest, spending};
use crate::claude::tail::{self, Chunk, Limits, Position};
use crate::claude::transcript::{self, Timing};
use crate::clock;
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::session::{Conversation, Source};

/// One transcript: a conversation's, or that of one of its sub-agents.
pub struct Reader {
    /// The session.
    pub session: SessionId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Whose transcript it is, if not the conversation's own.
    pub agent: Option<String>,
    /// It tells of the past: nobody is told of what is in it.
    past: bool,
    position: Position,
    timing: Timing,
}

impl Reader {
    /// Goes on with a conversation's own transcript.
    pub fn of(conversation: &Conversation) -> Self {
        let file = conversation.transcript_file.as_deref().unwrap_or_default();
        Self {
            session: conversation.session_id,
            conversation: conversation.id.clone(),
            agent: None,
            past: false,
            position: position(conversation.transcript_offset, file),
            timing: Timing::default(),
        }
    }

    /// Goes on with the transcript of a sub-agent, which was read up to `offset` of `file`.
    pub fn of_agent(conversation: &Conversation, agent: String, offset: u64, file: &str) -> Self {
        let position = position(offset, file);
        Self { agent: Some(agent), position, ..Self::of(conversation) }
    }

    /// Records what it reads without telling anybody: it happened long ago.
    pub fn of_the_past(self) -> Self {
        Self { past: true, ..self }
    }

    /// Reads what is new. What went wrong is logged, and read again the next time.
    pub async fn read(&mut self, app: &App, path: &Path) {
        loop {
            let chunk = match tail::read(path, self.position, Limits::default()) {
                Ok(Some(chunk)) => chunk,
                // Claude Code makes it at the first prompt.
                Ok(None) => return,
                Err(e) => {
                    tracing::warn!(error = %e, path = %path.display(), "a transcript cannot be read");
                    return;
                }
            };
            if chunk.position == self.position {
                return;
            }
            let mut report = self.report(&chunk);
            spending::estimate(app, &mut report.records);
            if let Err(e) = ingest::observed(app, report).await {
                tracing::warn!(error = %e, "a part of a transcript was not recorded; it is read again");
                return;
            }
            self.position = chunk.position;
            if !chunk.more {
                return;
            }
        }
    }

    /// What a part of the transcript says.
    fn report(&mut self, chunk: &Chunk) -> Report {
        let now = clock::now();
        let mut report = Report::new(self.session, Source::Transcript);
        for (_, line) in chunk.lines() {
            // A line that is no JSON is Claude Code's trouble, not ours: there is nothing to record.
            let Ok(Some(mut item)) = transcript::parse_line(line, now) else { continue };
            self.timing.take(&mut item);
            let facts = item.facts.into_iter().filter(|f| self.agent.is_none() || is_of_a_call(f));
            report.facts.extend(facts.map(|fact| (item.at, fact)));
            report.records.extend(item.records);
        }
        // What a sub-agent is told is no prompt of the conversation's.
        if self.agent.is_none() {
            report.prompts = ingest::prompt_digests(&report.records);
        }
        ingest::scrub_records(&mut report.records);
        report.past = self.past;
        report.conversation = Some(self.conversation.clone());
        report.read_to = Some(ReadTo {
            agent: self.agent.clone(),
            offset: chunk.position.offset,
            file: chunk.position.inode.to_string(),
        });
        report
    }
}

fn position(offset: u64, inode: &str) -> Position {
    Position { offset, inode: inode.parse().unwrap_or(0), skipping: false }
}

/// Whether a fact is about a single call. A sub-agent's turns say nothing about the session's.
fn is_of_a_call(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::ToolStarted { .. } | Fact::ToolFinished { .. } | Fact::DecisionHonoured { .. }
    )
}
