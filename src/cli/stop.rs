//! `chorus stop`: ending the server, and nothing else.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::timeout;

use super::client::Client;
use super::show;
use crate::config::DataDir;
use crate::process;
use crate::server::Running;

/// How long a server may take to finish what it is doing.
const LIMIT: Duration = Duration::from_secs(10);

/// Tells the server of a data folder to end, and waits until it has.
pub async fn run(data: &DataDir, json: bool) -> Result<()> {
    // That one answers shows that its process is still the one that was written down.
    Client::find(data).await?;
    let running = Running::find(data).context("the server has just ended")?;
    let server = process::identify(running.pid).context("the server has just ended")?;
    process::terminate(server)
        .with_context(|| format!("the server, process {}, cannot be told to end", running.pid))?;
    if timeout(LIMIT, process::wait_gone(server)).await.is_err() {
        bail!(
            "the server, process {}, has not ended after {} s; its log is {}",
            running.pid,
            LIMIT.as_secs(),
            data.log().display()
        );
    }
    show::done(
        "the server has ended; sessions run on, and `chorus serve` takes them up",
        &running,
        json,
    )
}
