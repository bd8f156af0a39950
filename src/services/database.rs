//! Choosing, opening and looking after the database.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::clock;
use crate::config::Loaded;
use crate::store::copy::{self, Copied};
use crate::store::schema::{Check, Owner};
use crate::store::{Db, Place, StoreError};

/// Something that was asked of the database and did not happen.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be used.
    #[error("{place}: {problem}")]
    Unusable {
        /// Which, without its password.
        place: String,
        /// Why, and what to do.
        problem: String,
    },
    /// A file cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
}

type Result<T, E = DatabaseError> = std::result::Result<T, E>;

fn unusable(place: &Place, problem: impl ToString) -> DatabaseError {
    DatabaseError::Unusable { place: place.to_string(), problem: problem.to_string() }
}

fn file_problem(path: &Path, problem: impl ToString) -> DatabaseError {
    DatabaseError::File { path: path.to_owned(), problem: problem.to_string() }
}

/// A database that was chosen, and why another was not.
pub struct Chosen {
    /// Where it is.
    pub place: Place,
    /// Why it is not the one that was named.
    pub warning: Option<String>,
}

/// Decides which database to use. One that is named by a variable of other programs' counts only if
/// it is empty or ours; if that cannot be found out, none is used: to guess would be to forget.
pub async fn choose(loaded: &Loaded) -> Result<Chosen> {
    let place = loaded.place();
    if !place.is_server() || !loaded.place_may_be_anothers() {
        return Ok(Chosen { place, warning: None });
    }
    let owner = async {
        let db = Db::connect(&place, loaded.config.synchronous).await?;
        let owner = db.owner().await;
        db.close().await;
        owner
    };
    match owner.await {
        Ok(Owner::Us) => Ok(Chosen { place, warning: None }),
        // What is kept already is not left behind for an empty database.
        Ok(Owner::Nobody) if !is_there(&loaded.own_place()) => Ok(Chosen { place, warning: None }),
        Ok(Owner::Nobody) => Ok(Chosen {
            warning: Some(format!(
                "{place}, which $DATABASE_URL names, is empty, and there is a database in the data folder; that one is used. Set CHORUS_DATABASE_URL to say which you mean, `chorus db copy` carries everything over"
            )),
            place: loaded.own_place(),
        }),
        Ok(Owner::Another) => Ok(Chosen {
            warning: Some(format!(
                "{place}, which $DATABASE_URL names, is another program's and is left alone"
            )),
            place: loaded.own_place(),
        }),
        Err(e) => Err(unusable(
            &place,
            format!(
                "{e}. $DATABASE_URL may be another program's: set CHORUS_DATABASE_URL to say which database Chorus is to use"
            ),
        )),
    }
}

fn is_there(place: &Place) -> bool {
    matches!(place, Place::Sqlite(file) if file.exists())
}

/// Opens the database for a server: holds it, and brings it up to date.
pub async fn open(loaded: &Loaded) -> Result<Db> {
    let Chosen { place, warning } = choose(loaded).await?;
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    let open = async {
        let db = Db::make(&place, loaded.config.synchronous).await?;
        refuse_anothers(&db).await?;
        db.hold().await?;
        db.migrate().await?;
        Ok::<_, StoreError>(db)
    };
    let db = open.await.map_err(|e| unusable(&place, e))?;
    tracing::info!(database = %place, "the database is {place}");
    Ok(db)
}

/// Our tables are not made among somebody else's.
async fn refuse_anothers(db: &Db) -> Result<(), StoreError> {
    match db.owner().await? {
        Owner::Another => Err(StoreError::Unfit(
            "it holds another program's tables; make a database for Chorus".into(),
        )),
        Owner::Us | Owner::Nobody => Ok(()),
    }
}

/// What `chorus db check` tells.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Where the database is.
    pub database: String,
    /// What is in it.
    #[serde(flatten)]
    pub check: Check,
}

/// Looks whether the database can be reached and is up to date; `deep`, also whether it is sound,
/// which takes a look at every row.
pub async fn check(loaded: &Loaded, deep: bool) -> Result<Checked> {
    let place = choose(loaded).await?.place;
    if matches!(place, Place::Sqlite(_)) && !is_there(&place) {
        return Err(unusable(&place, "there is no database yet; the server makes it"));
    }
    let check = async {
        let db = Db::connect(&place, loaded.config.synchronous).await?;
        let check = db.check(deep).await;
        db.close().await;
        check
    };
    let check = check.await.map_err(|e| unusable(&place, e))?;
    Ok(Checked { database: place.to_string(), check })
}

/// Brings the database up to date. Tells which migrations that took.
pub async fn migrate(loaded: &Loaded) -> Result<Vec<String>> {
    let place = choose(loaded).await?.place;
    if let Place::Sqlite(file) = &place {
        make_folder_of(file).map_err(|e| file_problem(file, e))?;
    }
    let migrate = async {
        let db = Db::make(&place, loaded.config.synchronous).await?;
        let migrate = async {
            refuse_anothers(&db).await?;
            db.migrate().await
        };
        let applied = migrate.await;
        db.close().await;
        applied
    };
    migrate.await.map_err(|e| unusable(&place, e))
}

/// Copies everything from one database into another that has no rows.
pub async fn copy(loaded: &Loaded, from: &Place, to: &Place) -> Result<Vec<Copied>> {
    if let Place::Sqlite(file) = from
        && !file.exists()
    {
        return Err(unusable(from, "there is no such file"));
    }
    let synchronous = loaded.config.synchronous;
    let source = Db::connect(from, synchronous).await.map_err(|e| unusable(from, e))?;
    // A source that is behind would be copied as what it is not.
    let ready = async {
        source.hold().await?;
        source.migrate().await
    };
    ready.await.map_err(|e| unusable(from, e))?;
    let target = Db::make(to, synchronous).await.map_err(|e| unusable(to, e))?;
    let filled = async {
        refuse_anothers(&target).await?;
        target.hold().await?;
        target.migrate().await?;
        copy::copy(&source, &target).await
    };
    let copied = filled.await.map_err(|e| unusable(to, e));
    source.close().await;
    target.close().await;
    copied
}

/// Writes an SQLite database into a new file, also while a server runs on it.
pub async fn backup(loaded: &Loaded, file: &Path) -> Result<()> {
    let place = choose(loaded).await?.place;
    if !place.is_server() && !is_there(&place) {
        return Err(unusable(&place, "there is no database yet"));
    }
    let db = Db::connect(&place, loaded.config.synchronous).await;
    let db = db.map_err(|e| unusable(&place, e))?;
    let backup = async {
        if !place.is_server() {
            // Made first, so that nobody else can ever read it, and nothing is overwritten.
            let made = File::options().write(true).create_new(true).mode(0o600).open(file);
            made.map_err(|e| file_problem(file, e))?;
        }
        db.backup(file).await.map_err(|e| {
            if !place.is_server() {
                let _ = fs::remove_file(file);
            }
            unusable(&place, e)
        })?;
        let synced = File::open(file).and_then(|f| f.sync_all());
        synced.map_err(|e| file_problem(file, e))
    };
    let done = backup.await;
    db.close().await;
    done
}

/// Puts a backup in the place of the SQLite database, which no server may have open. Tells where the
/// former one is, if there was one.
pub async fn restore(loaded: &Loaded, backup: &Path) -> Result<Option<PathBuf>> {
    let place = choose(loaded).await?.place;
    let Place::Sqlite(file) = &place else {
        return Err(unusable(&place, "PostgreSQL brings its own tools: use pg_restore"));
    };
    // A copy is looked at and brought up to date; the backup stays as it is.
    let part = beside(file, "restoring");
    let copied = copy_privately(backup, &part);
    copied.map_err(|e| file_problem(backup, e))?;
    let sound = async {
        let db = Db::connect(&Place::Sqlite(part.clone()), loaded.config.synchronous).await?;
        let check = async {
            if db.owner().await? != Owner::Us {
                return Err(StoreError::Unfit("this is no database of Chorus's".into()));
            }
            db.migrate().await?;
            match db.check(true).await?.problems.as_slice() {
                [] => Ok(()),
                problems => Err(StoreError::Unfit(problems.join("; "))),
            }
        };
        let checked = check.await;
        db.close().await;
        checked
    };
    if let Err(e) = sound.await {
        remove(&part);
        return Err(file_problem(backup, e));
    }
    let former =
        beside(file, &format!("before-restore-{}", clock::now().to_string().replace(':', "")));
    let existed = file.exists();
    // Opened and closed, it is one file: what is in its log goes into it, if it can be read at all.
    if existed && let Ok(db) = Db::connect(&place, loaded.config.synchronous).await {
        db.close().await;
    }
    let exchanged = (|| {
        if existed {
            // There is a database at any moment: this name is of the former one until it is of the
            // new one.
            fs::hard_link(file, &former)?;
            for suffix in ["-wal", "-shm"] {
                let (from, to) = (with_suffix(file, suffix), with_suffix(&former, suffix));
                if from.exists() {
                    fs::rename(from, to)?;
                }
            }
        }
        fs::rename(&part, file)
    })();
    exchanged.map_err(|e: std::io::Error| file_problem(file, e))?;
    Ok(existed.then_some(former))
}

fn make_folder_of(file: &Path) -> std::io::Result<()> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}

/// Copies a database with its log, where what was committed last may be, if nobody closed it.
fn copy_privately(from: &Path, to: &Path) -> std::io::Result<()> {
    remove(to);
    make_folder_of(to)?;
    for suffix in ["", "-wal"] {
        let mut source = match File::open(with_suffix(from, suffix)) {
            Ok(source) => source,
            Err(_) if suffix == "-wal" => continue,
            Err(e) => return Err(e),
        };
        let to = with_suffix(to, suffix);
        let mut target = File::options().write(true).create_new(true).mode(0o600).open(to)?;
        std::io::copy(&mut source, &mut target)?;
        target.sync_all()?;
    }
    Ok(())
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(with_suffix(file, suffix));
    }
}

fn beside(file: &Path, what: &str) -> PathBuf {
    with_suffix(file, &format!(".{what}"))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
