//! What outlives the server, in a file of the data folder: which permission requests were told of,
//! so that a start neither repeats nor forgets one, and which channels have failed, where `chorus
//! doctor` looks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::channel::{Channel, NoticeAttempt, NoticeOutcome};
use crate::clock;
use crate::domain::ids::PermissionId;
use crate::domain::time::Timestamp;

/// The file.
pub struct Ledger {
    file: PathBuf,
    content: Mutex<Content>,
}

/// What is in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// The failures of each channel since it did well.
    pub failures: BTreeMap<String, Failures>,
    /// The open requests that each channel has told of, or had no reason to.
    told: BTreeMap<String, BTreeSet<PermissionId>>,
}

impl Content {
    /// Reads it. Without the file there is nothing in it.
    pub fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Whether a channel is done with a request.
    pub(super) fn has_told(&self, channel: Channel, request: PermissionId) -> bool {
        self.told.get(&channel.to_string()).is_some_and(|told| told.contains(&request))
    }
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

impl Ledger {
    /// Goes on with what is in this file.
    pub fn new(file: PathBuf, content: Content) -> Self {
        Self { file, content: Mutex::new(content) }
    }

    /// Notes that a channel is about to tell of these requests, or has no reason to. Only those that
    /// are still open matter.
    pub(super) async fn telling(
        &self,
        channel: Channel,
        requests: &BTreeSet<PermissionId>,
        open: &BTreeSet<PermissionId>,
    ) {
        if requests.is_disjoint(open) {
            return;
        }
        let mut content = self.content.lock().await;
        let told = content.told.entry(channel.to_string()).or_default();
        told.extend(requests);
        told.retain(|id| open.contains(id));
        self.write(&content).await;
    }

    /// Notes how it went.
    pub(super) async fn note(&self, attempt: &NoticeAttempt) {
        let channel = &attempt.channel;
        let mut content = self.content.lock().await;
        let known = &mut content.failures;
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
        self.write(&content).await;
    }

    /// Writes it in one step.
    async fn write(&self, content: &Content) {
        let part = self.file.with_extension("part");
        let written = async {
            tokio::fs::write(&part, serde_json::to_vec(content)?).await?;
            tokio::fs::rename(&part, &self.file).await
        };
        if let Err(e) = written.await {
            tracing::warn!(error = %e, "{} cannot be written", self.file.display());
        }
    }
}
