//! `chorus db`: looking after the database; all but `prune` without a server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::args::{self, Db};
use super::client::Client;
use super::exit::{Exit, OrExit as _};
use super::show;
use crate::api::retention::{Prune, Pruned};
use crate::config::{DataDir, Loaded};
use crate::server;
use crate::services::database;
use crate::store::Place;

/// Carries out one of the commands.
pub async fn run(command: Db, loaded: &Loaded, as_json: bool) -> Result<Exit> {
    match command {
        Db::Check => {
            let checked = database::check(loaded, true).await?;
            show::database(&checked, as_json)?;
            if !checked.check.problems.is_empty() {
                return Ok(Exit::Failed);
            }
        }
        Db::Migrate => {
            let applied = database::migrate(loaded).await?;
            let text = match applied.as_slice() {
                [] => "the database was up to date".to_owned(),
                some => format!("applied {}", some.join(", ")),
            };
            show::done(&text, &json!({ "applied": applied }), as_json)?;
        }
        Db::Copy { from, to } => {
            let configured = database::choose(loaded).await?.place;
            let from = place(&configured, from.as_deref(), "--from")?;
            let to = place(&configured, to.as_deref(), "--to")?;
            if from.to_string() == to.to_string() {
                return Err(Exit::Usage.error(format!(
                    "{from} cannot be copied into itself; name the other one with --from or --to"
                )));
            }
            let _locks = locks(loaded, &configured, &[&from, &to])?;
            let copied = database::copy(loaded, &from, &to).await?;
            let rows: i64 = copied.iter().map(|c| c.rows).sum();
            let text = format!(
                "copied {rows} rows from {from} to {to}; set CHORUS_DATABASE_URL to use that one"
            );
            show::done(&text, &json!({ "copied": copied }), as_json)?;
        }
        Db::Backup { file } => {
            database::backup(loaded, &file).await?;
            let text = format!("wrote {}", file.display());
            show::done(&text, &json!({ "file": file }), as_json)?;
        }
        Db::Restore { file } => {
            let configured = database::choose(loaded).await?.place;
            let _locks = locks(loaded, &configured, &[&configured])?;
            let former = database::restore(loaded, &file).await?;
            let text = match &former {
                Some(former) => {
                    format!("restored {}; what was there is {}", file.display(), former.display())
                }
                None => format!("restored {}", file.display()),
            };
            show::done(&text, &json!({ "restored": file, "former": former }), as_json)?;
        }
        Db::Prune(asked) => prune(loaded, asked, as_json).await?,
    }
    Ok(Exit::Ok)
}

async fn prune(loaded: &Loaded, asked: args::Prune, as_json: bool) -> Result<()> {
    let client = Client::find(&DataDir(loaded.config.data_dir.clone())).await?;
    let body = Prune {
        sessions_days: asked.sessions,
        outputs_days: asked.outputs,
        events_days: asked.events,
        database_mb: asked.size,
        dry_run: asked.dry_run,
    };
    let done: Pruned = client.post("/api/database/prune", &body).await?;
    let verb = if done.dry_run { "would forget" } else { "forgot" };
    let text = format!(
        "{verb} {} sessions ({:.1} MB of text), {} long results, {} events",
        done.sessions,
        done.bytes as f64 / 1e6,
        done.outputs,
        done.events
    );
    show::done(&text, &done, as_json)
}

fn place(configured: &Place, url: Option<&str>, flag: &str) -> Result<Place> {
    match url {
        Some(url) => Place::parse(url).context(flag.to_owned()).or_exit(Exit::Usage),
        None => Ok(configured.clone()),
    }
}

/// Keeps servers off SQLite files as long as this lives: by the locks of the folders they are in,
/// and of the data folder if one of them is the configured database.
fn locks(loaded: &Loaded, configured: &Place, places: &[&Place]) -> Result<Vec<std::fs::File>> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for place in places {
        let Place::Sqlite(file) = place else { continue };
        let ours = matches!(configured, Place::Sqlite(ours) if same(ours, file));
        let around = file.parent().map(Path::to_owned).unwrap_or_default();
        let own = Some(loaded.config.data_dir.clone()).filter(|dir| ours && dir.is_dir());
        let around = Some(around).filter(|dir| DataDir(dir.clone()).lock().exists());
        for folder in [own, around].into_iter().flatten() {
            if !folders.iter().any(|known| same(known, &folder)) {
                folders.push(folder);
            }
        }
    }
    folders.into_iter().map(|folder| server::lock(&DataDir(folder))).collect()
}

fn same(a: &Path, b: &Path) -> bool {
    let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.to_owned());
    real(a) == real(b)
}
