//! Finding the server, and starting one where none runs.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

use super::client::{Client, NoServer};
use crate::config::{DataDir, Loaded};

/// How long a new server may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The running server, or one that is started now and stays when this command ends.
pub async fn server(loaded: &Loaded, data: &DataDir) -> Result<Client> {
    match Client::find(data).await {
        Ok(client) => return Ok(client),
        Err(e) if e.is::<NoServer>() => {}
        Err(e) => return Err(e),
    }
    std::fs::create_dir_all(&data.0)?;
    // What it says before it can log goes there too.
    let log = File::options().create(true).append(true).open(data.log())?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--data-dir").arg(&data.0).arg("serve");
    if let Some(crate::config::Origin::File(path)) =
        loaded.origins.values().find(|o| matches!(o, crate::config::Origin::File(_)))
    {
        command.arg("--config").arg(path.canonicalize()?);
    }
    if loaded.config.log_file.as_os_str().is_empty() {
        command.env("CHORUS_LOG_FILE", data.log());
    }
    // A process group of its own: Ctrl+C here is not meant for the server.
    let mut server = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("the server could not be started")?;
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if let Ok(client) = Client::find(data).await {
            eprintln!(
                "chorus: started a server ({}); its log is {}",
                server.id(),
                data.log().display()
            );
            return Ok(client);
        }
        if let Some(status) = server.try_wait()? {
            bail!("the server ended at once ({status}); its log is {}", data.log().display());
        }
        sleep(Duration::from_millis(20)).await;
    }
    bail!(
        "the server does not answer after {} s; its log is {}",
        LIMIT.as_secs(),
        data.log().display()
    )
}
