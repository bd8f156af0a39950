//! Following the transcripts of live sessions: each conversation's, and each of its sub-agents'.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::claude::tail::{self, Chunk, Limits, Position};
use crate::claude::{paths, transcript};
use crate::clock;
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::session::{Conversation, Source};
use crate::services::observe::{ReadTo, Report};
use crate::services::{App, ingest, spending};
use crate::store::conversations;

/// The transcripts that are followed.
pub(super) struct Transcripts {
    app: Arc<App>,
    followed: HashMap<PathBuf, Followed>,
}

struct Followed {
    session: SessionId,
    conversation: ConversationId,
    /// Whose transcript it is, if not the conversation's own.
    agent: Option<String>,
    position: Position,
}

impl Transcripts {
    pub(super) fn new(app: &Arc<App>) -> Self {
        Self { app: app.clone(), followed: HashMap::new() }
    }

    /// Follows a conversation's transcript from where it was read last.
    pub(super) fn follow(&mut self, conversation: &Conversation, path: &Path) {
        if self.followed.contains_key(path) {
            return;
        }
        let at = (conversation.transcript_offset, conversation.transcript_file.as_deref());
        let followed = Followed {
            session: conversation.session_id,
            conversation: conversation.id.clone(),
            agent: None,
            position: position(at.0, at.1.unwrap_or_default()),
        };
        self.followed.insert(path.to_owned(), followed);
    }

    /// Follows the transcripts of a conversation's sub-agents that are there, and reads what is new.
    pub(super) async fn read_subagents(&mut self, conversation: &Conversation, path: &Path) {
        let Ok(entries) = std::fs::read_dir(paths::subagents(path)) else { return };
        let files: Vec<(String, PathBuf)> = entries
            .flatten()
            .filter_map(|e| Some((paths::agent_of(&e.path())?, e.path())))
            .collect();
        if files.iter().any(|(_, file)| !self.followed.contains_key(file)) {
            let known = conversations::subagents(&self.app.db, &conversation.id).await;
            let mut known = known.unwrap_or_default();
            for (agent, file) in &files {
                let (offset, inode) = known.remove(agent).unwrap_or_default();
                self.followed.entry(file.clone()).or_insert_with(|| Followed {
                    session: conversation.session_id,
                    conversation: conversation.id.clone(),
                    agent: Some(agent.clone()),
                    position: position(offset, &inode),
                });
            }
        }
        for (_, file) in files {
            self.read(&file).await;
        }
    }

    /// Forgets a conversation's transcripts: nothing is written to them any more.
    pub(super) fn forget(&mut self, conversation: &ConversationId) {
        self.followed.retain(|_, f| f.conversation != *conversation);
    }

    /// Whether a file is the transcript of a conversation's sub-agent that is not followed yet: tells
    /// the session.
    pub(super) fn newcomer(&self, path: &Path) -> Option<SessionId> {
        if self.followed.contains_key(path) {
            return None;
        }
        paths::agent_of(path)?;
        let folder = path.parent()?;
        let mut owners = self.followed.iter().filter(|(_, f)| f.agent.is_none());
        owners.find(|(main, _)| paths::subagents(main) == folder).map(|(_, f)| f.session)
    }

    /// Reads what is new in a transcript, if it is followed.
    pub(super) async fn read(&mut self, path: &Path) {
        let Some(followed) = self.followed.get_mut(path) else { return };
        loop {
            let chunk = match tail::read(path, followed.position, Limits::default()) {
                Ok(Some(chunk)) => chunk,
                // Claude Code makes it at the first prompt.
                Ok(None) => return,
                Err(e) => {
                    tracing::warn!(error = %e, path = %path.display(), "a transcript cannot be read");
                    return;
                }
            };
            if chunk.position == followed.position {
                return;
            }
            let mut report = report(followed, &chunk);
            spending::estimate(&self.app, &mut report.records);
            if let Err(e) = ingest::observed(&self.app, report).await {
                tracing::warn!(error = %e, "a part of a transcript was not recorded; it is read again");
                return;
            }
            followed.position = chunk.position;
            if !chunk.more {
                return;
            }
        }
    }
}

fn position(offset: u64, inode: &str) -> Position {
    Position { offset, inode: inode.parse().unwrap_or(0), skipping: false }
}

/// What a part of a transcript says.
fn report(followed: &Followed, chunk: &Chunk) -> Report {
    let now = clock::now();
    let mut report = Report::new(followed.session, Source::Transcript);
    for (_, line) in chunk.lines() {
        // A line that is no JSON is Claude Code's trouble, not ours: there is nothing to record.
        let Ok(Some(item)) = transcript::parse_line(line, now) else { continue };
        let facts = item.facts.into_iter().filter(|f| followed.agent.is_none() || is_of_a_call(f));
        report.facts.extend(facts.map(|fact| (item.at, fact)));
        report.records.extend(item.records);
    }
    // What a sub-agent is told is no prompt of the conversation's.
    if followed.agent.is_none() {
        report.prompts = ingest::prompt_digests(&report.records);
    }
    ingest::scrub_records(&mut report.records);
    report.conversation = Some(followed.conversation.clone());
    report.read_to = Some(ReadTo {
        agent: followed.agent.clone(),
        offset: chunk.position.offset,
        file: chunk.position.inode.to_string(),
    });
    report
}

/// Whether a fact is about a single call. A sub-agent's turns say nothing about the session's.
fn is_of_a_call(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::ToolStarted { .. } | Fact::ToolFinished { .. } | Fact::DecisionHonoured { .. }
    )
}
