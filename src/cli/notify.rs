//! `chorus notify` and `chorus status-line`.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::time::timeout;

use super::args::Notify;
use super::client::Client;
use super::exit::Exit;
use super::show;
use crate::config::DataDir;
use crate::services::notices::{NoticeAttempt, NoticeOutcome};
use crate::services::summary::SessionCounts;

/// How long a status line is waited for: what draws it asks again soon.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Carries out what is to be done with notices.
pub async fn run(client: &Client, what: &Notify, json: bool) -> Result<Exit> {
    match what {
        Notify::Test => {
            let attempts: Vec<NoticeAttempt> =
                client.post("/api/notices/test", &Value::Null).await?;
            show::attempts(&attempts, json)?;
            let failed = attempts.iter().any(|a| a.outcome == NoticeOutcome::Failed);
            Ok(if failed { Exit::Failed } else { Exit::Ok })
        }
    }
}

/// Prints the counts; nothing if there is no server to ask.
pub async fn status_line(data: &DataDir, json: bool) -> Result<()> {
    let ask = async { Client::find(data).await?.get::<SessionCounts>("/api/summary").await };
    match timeout(AT_ONCE, ask).await {
        Ok(Ok(summary)) => show::summary(&summary, json),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}
