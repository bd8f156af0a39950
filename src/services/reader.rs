//! Reading a transcript into the record, from where it was read last.

use std::io;
use std::path::{Path, PathBuf};

use super::observe::{ReadTo, Report};
use super::{App, ingest, spending};
use crate::claude::tail::{self, Chunk, Limits, Position};
use crate::claude::transcript::{self, Timing};
use crate::clock;
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::session::{Conversation, Source};

/// As much is read, parsed and scrubbed at once: less than a millisecond's work. What is more is done where
/// it holds up nobody. Bytes.
const AT_ONCE: u64 = 64 * 1024;

/// One transcript: a conversation's, or that of one of its sub-agents.
#[derive(Clone)]
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
            let part = match self.part(path).await {
                Ok(Some(part)) => part,
                // Nothing new; or Claude Code has yet to make it, at the first prompt.
                Ok(None) => return,
                Err(e) => {
                    tracing::warn!(error = %e, path = %path.display(), "a transcript cannot be read");
                    return;
                }
            };
            let Part { mut report, more, after } = part;
            spending::estimate(app, &mut report.records);
            if let Err(e) = ingest::observed(app, report).await {
                tracing::warn!(error = %e, "a part of a transcript was not recorded; it is read again");
                return;
            }
            *self = after;
            if !more {
                return;
            }
        }
    }

    /// Reads the next part. `None` if there is nothing new.
    async fn part(&self, path: &Path) -> io::Result<Option<Part>> {
        let Ok(size) = path.metadata().map(|meta| meta.len()) else { return Ok(None) };
        // One that was cut is read from its beginning.
        if size.checked_sub(self.position.offset).unwrap_or(size) <= AT_ONCE {
            return self.clone().next(path);
        }
        let (reader, path) = (self.clone(), PathBuf::from(path));
        tokio::task::spawn_blocking(move || reader.next(&path)).await?
    }

    /// The next part, as [`part`](Self::part). Takes as long as there is much.
    fn next(mut self, path: &Path) -> io::Result<Option<Part>> {
        let chunk = tail::read(path, self.position, Limits::default())?;
        let Some(chunk) = chunk.filter(|chunk| chunk.position != self.position) else {
            return Ok(None);
        };
        let report = self.report(&chunk);
        self.position = chunk.position;
        Ok(Some(Part { report, more: chunk.more, after: self }))
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

/// A part of a transcript.
struct Part {
    /// What it says.
    report: Report,
    /// There is more to read at once.
    more: bool,
    /// Goes on after it.
    after: Reader,
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

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::domain::time::Timestamp;

    fn reader() -> Reader {
        Reader::of(&Conversation {
            id: ConversationId("c".into()),
            session_id: SessionId::new(),
            transcript_path: None,
            transcript_offset: 0,
            transcript_file: None,
            started_at: Timestamp(0),
            ended_at: None,
            end_reason: None,
        })
    }

    /// Lines of a transcript, together about so long.
    fn lines(bytes: usize) -> String {
        let said = "x".repeat(1_000);
        let line = |n| {
            format!(
                "{{\"type\":\"assistant\",\"uuid\":\"u{n}\",\"timestamp\":\"2026-11-20T17:00:00.000Z\",\
                 \"message\":{{\"role\":\"assistant\",\"content\":[{{\"type\":\"text\",\"text\":\"{said}\"}}]}}}}\n"
            )
        };
        (0..bytes / 1_000).map(line).collect()
    }

    #[tokio::test]
    async fn much_is_read_elsewhere_and_little_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.jsonl");
        let mut reader = reader();
        assert!(reader.part(&path).await.expect("no error").is_none(), "it is not made yet");
        let mut written = 0;
        for (bytes, at_once) in [(3_000, true), (2_000_000, false), (3_000, true)] {
            let old = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::write(&path, format!("{old}{}", lines(bytes))).expect("a transcript");
            written += bytes / 1_000;
            let read = {
                let mut part = Box::pin(reader.part(&path));
                let first = part.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert_eq!(first.is_ready(), at_once, "{bytes} bytes");
                match first {
                    Poll::Ready(read) => read,
                    Poll::Pending => part.await,
                }
            };
            let read = read.expect("no error").expect("news");
            assert!(!read.more && !read.report.records.is_empty());
            assert_eq!(read.report.records.len(), bytes / 1_000);
            reader = read.after;
        }
        assert_eq!(std::fs::read_to_string(&path).map(|t| t.lines().count()).ok(), Some(written));
        assert!(reader.part(&path).await.expect("no error").is_none(), "all was read");
    }
}
