//! Following the transcripts of live sessions: each conversation's, and each of its sub-agents'.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::claude::paths;
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::session::Conversation;
use crate::services::App;
use crate::services::reader::Reader;
use crate::store::conversations;

/// The transcripts that are followed.
pub(super) struct Transcripts {
    app: Arc<App>,
    followed: HashMap<PathBuf, Reader>,
}

impl Transcripts {
    pub(super) fn new(app: &Arc<App>) -> Self {
        Self { app: app.clone(), followed: HashMap::new() }
    }

    /// Follows a conversation's transcript from where it was read last.
    pub(super) fn follow(&mut self, conversation: &Conversation, path: &Path) {
        // It may have gone on in another session.
        let stays =
            |f: &Reader| f.conversation != conversation.id || f.session == conversation.session_id;
        self.followed.retain(|_, f| stays(f));
        if !self.followed.contains_key(path) {
            self.followed.insert(path.to_owned(), Reader::of(conversation));
        }
    }

    /// Follows the transcripts of a conversation's sub-agents that are there, and reads what is new.
    pub(super) async fn read_subagents(&mut self, conversation: &Conversation, path: &Path) {
        let files = paths::subagent_transcripts(path);
        if files.iter().any(|(_, file)| !self.followed.contains_key(file)) {
            let known = conversations::subagents(&self.app.db, &conversation.id).await;
            let mut known = known.unwrap_or_default();
            for (agent, file) in &files {
                let (offset, inode) = known.remove(agent).unwrap_or_default();
                self.followed.entry(file.clone()).or_insert_with(|| {
                    Reader::of_agent(conversation, agent.clone(), offset, &inode)
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
        if let Some(reader) = self.followed.get_mut(path) {
            reader.read(&self.app, path).await;
        }
    }
}
