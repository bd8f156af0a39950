//! The rows of documents follow the files.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::domain::document::{Category, File, FileChange};
use crate::domain::event::{self, NewEvent};
use crate::domain::ids::{DocumentId, ProjectId};
use crate::domain::time::Timestamp;
use crate::store::bulk::Bulk;
use crate::store::{Db, Result, Tx, on, text};

macro_rules! known {
    ($rest:literal) => {
        concat!(
            "SELECT id, path, bytes, modified_ns, inode, missing FROM documents \
             WHERE project_id = $1 ",
            $rest
        )
    };
}

const KNOWN: &str = known!("ORDER BY path");
const KNOWN_AT: &str = known!("AND (path = $2 OR (path > $3 AND path < $4)) ORDER BY path");
const WITH_INODE: &str = known!("AND missing = 1 AND inode = $2 ORDER BY id LIMIT 2");
const MOVE: &str = "UPDATE documents SET path = $2, \
     category = CASE WHEN category_set = 1 THEN category ELSE $3 END, \
     bytes = $4, modified_ns = $5, inode = $6, missing = 0, updated_at = $7 WHERE id = $1";
const FORGET: &str = "DELETE FROM documents WHERE id = $1 \
     AND NOT EXISTS (SELECT 1 FROM document_references r WHERE r.document_id = $1)";
const MISS: &str = "UPDATE documents SET missing = 1, updated_at = $2 WHERE id = $1";
static INSERT: LazyLock<Bulk> = LazyLock::new(|| {
    let head = "INSERT INTO documents (project_id, path, category, category_set, pinned, bytes, \
        modified_ns, inode, missing, created_at, updated_at)";
    Bulk::new(head, 11, "ON CONFLICT (project_id, path) DO NOTHING RETURNING id, path")
});
static CHANGE: LazyLock<Bulk> = LazyLock::new(|| {
    let set = "UPDATE documents SET bytes = v.column2, modified_ns = v.column3, \
        inode = v.column4, missing = 0, updated_at = v.column5";
    Bulk::update(set, &["BIGINT"; 5], "WHERE documents.id = v.column1")
});

#[cfg(test)]
pub(super) fn statements(db: &Db) -> impl Iterator<Item = &'static str> {
    let fixed = [KNOWN, KNOWN_AT, WITH_INODE, MOVE, FORGET, MISS];
    INSERT.statements(db).chain(CHANGE.statements(db)).chain(fixed)
}

/// What is known of a document's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The document.
    pub id: DocumentId,
    /// The file, as it was seen last.
    pub file: File,
    /// It was not there.
    pub missing: bool,
}

#[derive(sqlx_macros::FromRow)]
struct KnownRow {
    id: i64,
    path: String,
    bytes: i64,
    modified_ns: i64,
    inode: i64,
    missing: i64,
}

impl From<KnownRow> for Known {
    fn from(r: KnownRow) -> Self {
        let KnownRow { id, path, bytes, modified_ns, inode, missing } = r;
        let file = File { path, bytes, modified_ns, inode };
        Self { id: DocumentId(id), file, missing: missing != 0 }
    }
}

/// What is known of all files of a project, by path.
pub async fn known(db: &Db, project: ProjectId) -> Result<Vec<Known>> {
    let rows: Vec<KnownRow> = on!(read db, c => sqlx::query_as(KNOWN)
        .bind(project.to_string()).fetch_all(c).await?);
    Ok(rows.into_iter().map(Known::from).collect())
}

/// What is known of the file with this path and of those below it, if it was a folder.
pub async fn known_at(db: &Db, project: ProjectId, path: &str) -> Result<Vec<Known>> {
    // The character after the slash.
    let (from, to) = (format!("{path}/"), format!("{path}0"));
    let rows: Vec<KnownRow> = on!(read db, c => sqlx::query_as(KNOWN_AT)
        .bind(project.to_string()).bind(text(path)).bind(text(&from)).bind(text(&to))
        .fetch_all(c).await?);
    Ok(rows.into_iter().map(Known::from).collect())
}

/// The missing files that had this number in the file system: one that is back has it still.
pub async fn missing_with_inode(db: &Db, project: ProjectId, inode: i64) -> Result<Vec<Known>> {
    let rows: Vec<KnownRow> = on!(read db, c => sqlx::query_as(WITH_INODE)
        .bind(project.to_string()).bind(inode).fetch_all(c).await?);
    Ok(rows.into_iter().map(Known::from).collect())
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there now.
    Created(File),
    /// It is not what it was, or is back.
    Changed {
        /// The document.
        id: DocumentId,
        /// As it is now.
        file: File,
        /// It was missing.
        back: bool,
    },
    /// It is somewhere else, where there was none.
    Moved {
        /// The document.
        id: DocumentId,
        /// Where it was.
        from: String,
        /// As it is now.
        file: File,
    },
    /// It is gone.
    Deleted {
        /// The document.
        id: DocumentId,
        /// Where it was.
        path: String,
    },
}

/// Writes what became of the files of a project, and tells the events of it.
pub(in crate::store) async fn apply(
    tx: &mut Tx,
    project: ProjectId,
    changes: &[Change],
    at: Timestamp,
) -> Result<Vec<NewEvent>> {
    for change in changes {
        match change {
            Change::Deleted { id, .. } => delete(tx, *id, at).await?,
            Change::Moved { id, file, .. } => {
                on!(execute tx, sqlx::query(MOVE)
                    .bind(id.0).bind(text(&file.path)).bind(Category::of(&file.path).as_str())
                    .bind(file.bytes).bind(file.modified_ns).bind(file.inode).bind(at.0));
            }
            Change::Created(_) | Change::Changed { .. } => {}
        }
    }
    update(tx, changes, at).await?;
    let created = insert(tx, project, changes, at).await?;
    let event = |document, path: &str, change, old: Option<&str>| {
        event::document_change(project, document, path, change, old, at)
    };
    Ok(changes
        .iter()
        .filter_map(|change| {
            Some(match change {
                Change::Created(file) => {
                    let id = created.get(&*file.path)?;
                    event(*id, &file.path, FileChange::Created, None)
                }
                Change::Changed { id, file, back: true } => {
                    event(*id, &file.path, FileChange::Created, None)
                }
                Change::Changed { id, file, back: false } => {
                    event(*id, &file.path, FileChange::Changed, None)
                }
                Change::Moved { id, from, file } => {
                    event(*id, &file.path, FileChange::Moved, Some(from))
                }
                Change::Deleted { id, path } => event(*id, path, FileChange::Deleted, None),
            })
        })
        .collect())
}

/// Without references a document goes with its file.
async fn delete(tx: &mut Tx, document: DocumentId, at: Timestamp) -> Result<()> {
    on!(execute tx, sqlx::query(FORGET).bind(document.0));
    on!(execute tx, sqlx::query(MISS).bind(document.0).bind(at.0));
    Ok(())
}

async fn update(tx: &mut Tx, changes: &[Change], at: Timestamp) -> Result<()> {
    let of = |change: &Change| match change {
        Change::Changed { id, file, .. } => Some((*id, file.clone())),
        _ => None,
    };
    let changed: Vec<(DocumentId, File)> = changes.iter().filter_map(of).collect();
    for (sql, part) in CHANGE.parts(tx, &changed) {
        on!(write tx, c => {
            let mut query = sqlx::query(sql);
            for (id, file) in part {
                query = query.bind(id.0).bind(file.bytes).bind(file.modified_ns).bind(file.inode)
                    .bind(at.0);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

async fn insert(
    tx: &mut Tx,
    project: ProjectId,
    changes: &[Change],
    at: Timestamp,
) -> Result<HashMap<String, DocumentId>> {
    let of = |change: &Change| match change {
        Change::Created(file) => Some(file.clone()),
        _ => None,
    };
    let created: Vec<File> = changes.iter().filter_map(of).collect();
    let mut ids = HashMap::with_capacity(created.len());
    for (sql, part) in INSERT.parts(tx, &created) {
        let rows: Vec<(i64, String)> = on!(write tx, c => {
            let mut query = sqlx::query_as(sql);
            for file in part {
                query = query.bind(project.to_string()).bind(text(&file.path))
                    .bind(Category::of(&file.path).as_str()).bind(0i64).bind(0i64)
                    .bind(file.bytes).bind(file.modified_ns).bind(file.inode).bind(0i64)
                    .bind(at.0).bind(at.0);
            }
            query.fetch_all(c).await?
        });
        ids.extend(rows.into_iter().map(|(id, path)| (path, DocumentId(id))));
    }
    Ok(ids)
}
