//! Which channels have failed lately, kept in the data folder, where `chorus doctor` looks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::channel::{NoticeAttempt, NoticeOutcome};
use crate::clock;
use crate::domain::time::Timestamp;

/// What has failed, in a file.
pub struct Health {
    file: PathBuf,
    known: Mutex<BTreeMap<String, Failures>>,
}

/// The failures of one channel since it did well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// What went wrong the last time.
    pub problem: String,
    /// When that was.
    pub at: Timestamp,
}

impl Health {
    /// Goes on with what is in this file.
    pub fn in_file(file: PathBuf) -> Self {
        let known = Mutex::new(Self::read(&file));
        Self { file, known }
    }

    /// The failures that a file tells of, by channel.
    pub fn read(file: &Path) -> BTreeMap<String, Failures> {
        let bytes = std::fs::read(file).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Takes in how it went.
    pub async fn note(&self, attempt: &NoticeAttempt) {
        let channel = &attempt.channel;
        let mut known = self.known.lock().await;
        match attempt.outcome {
            NoticeOutcome::Failed => {
                tracing::warn!(%channel, problem = %attempt.detail, "a notice did not go out by {channel}");
                let before = known.get(channel).map_or(0, |f| f.count);
                let (problem, at) = (attempt.detail.clone(), clock::now());
                known.insert(channel.clone(), Failures { count: before + 1, problem, at });
            }
            NoticeOutcome::Told if known.contains_key(channel) => {
                known.remove(channel);
            }
            NoticeOutcome::Told | NoticeOutcome::Silent => return,
        }
        let part = self.file.with_extension("part");
        let written = async {
            tokio::fs::write(&part, serde_json::to_vec(&*known)?).await?;
            tokio::fs::rename(&part, &self.file).await
        };
        if let Err(e) = written.await {
            tracing::debug!(error = %e, "the failures of notices cannot be noted");
        }
    }
}
