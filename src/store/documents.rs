//! Documents: the rows that follow the files.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::bulk::Bulk;
use super::{Cursor, Db, Page, Result, Tx, id, named, on, text};
use crate::domain::document::{Category, Document, File, FileChange, LONGEST_PATH};
use crate::domain::event::{self, NewEvent};
use crate::domain::ids::{DocumentId, ProjectId};
use crate::domain::time::Timestamp;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, path, category, description, pinned, bytes, modified_ns, missing, ",
            "(SELECT COUNT(*) FROM document_references r WHERE r.document_id = documents.id) AS referred, ",
            "created_at, updated_at FROM documents ",
            $rest
        )
    };
}
macro_rules! known {
    ($rest:literal) => {
        concat!(
            "SELECT id, path, bytes, modified_ns, inode, missing FROM documents \
             WHERE project_id = $1 ",
            $rest
        )
    };
}

const BY_ID: &str = select!("WHERE id = $1");
const BY_PATH: &str = select!("WHERE project_id = $1 AND path = $2");
const LIST: &str = select!(
    "WHERE (CAST($1 AS TEXT) IS NULL OR project_id = $1) \
     AND (CAST($2 AS TEXT) IS NULL OR category = $2) \
     AND (CAST($3 AS BIGINT) IS NULL OR missing = $3) \
     AND (CAST($4 AS TEXT) IS NULL OR LOWER(path) LIKE $4 ESCAPE '\\' \
          OR LOWER(description) LIKE $4 ESCAPE '\\') \
     AND (pinned < $5 OR (pinned = $5 AND (path, id) > ($6, $7))) \
     ORDER BY pinned DESC, path, id LIMIT $8"
);
const KNOWN: &str = known!("ORDER BY path");
const KNOWN_AT: &str =
    known!("AND (path = $2 OR (path > $3 AND path < $4)) ORDER BY path LIMIT 20000");
const WITH_INODE: &str = known!("AND missing = 1 AND inode = $2 ORDER BY id LIMIT 2");
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
const MOVE: &str = "UPDATE documents SET path = $2, \
     category = CASE WHEN category_set = 1 THEN category ELSE $3 END, \
     bytes = $4, modified_ns = $5, inode = $6, missing = 0, updated_at = $7 WHERE id = $1";
const FORGET: &str = "DELETE FROM documents WHERE id = $1 \
     AND NOT EXISTS (SELECT 1 FROM document_references r WHERE r.document_id = $1)";
const MISS: &str = "UPDATE documents SET missing = 1, updated_at = $2 WHERE id = $1";
const FORGET_MISSING: &str = "DELETE FROM documents WHERE id = $1 AND missing = 1 \
     AND NOT EXISTS (SELECT 1 FROM document_references r WHERE r.document_id = $1)";
const DESCRIBE: &str = "UPDATE documents SET category = COALESCE($2, category), \
     category_set = CASE WHEN CAST($2 AS TEXT) IS NULL THEN category_set ELSE 1 END, \
     description = CASE WHEN CAST($3 AS BIGINT) = 1 THEN $4 ELSE description END, \
     pinned = COALESCE($5, pinned), updated_at = $6 WHERE id = $1 RETURNING project_id, path";
const IS_KNOWN: &str = "SELECT documents_known FROM projects WHERE id = $1";
const SET_KNOWN: &str = "UPDATE projects SET documents_known = 1 WHERE id = $1";
const CLEAR_REFERENCES: &str = "DELETE FROM document_references WHERE document_id IN \
     (SELECT id FROM documents WHERE project_id = $1)";
const CLEAR: &str = "DELETE FROM documents WHERE project_id = $1";

#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    INSERT.statements().chain(CHANGE.statements()).chain([
        BY_ID,
        BY_PATH,
        LIST,
        KNOWN,
        KNOWN_AT,
        WITH_INODE,
        MOVE,
        FORGET,
        MISS,
        FORGET_MISSING,
        DESCRIBE,
        IS_KNOWN,
        SET_KNOWN,
        CLEAR_REFERENCES,
        CLEAR,
    ])
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: i64,
    project_id: String,
    path: String,
    category: String,
    description: Option<String>,
    pinned: i64,
    bytes: i64,
    modified_ns: i64,
    missing: i64,
    referred: i64,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn document(self) -> Result<Document> {
        Ok(Document {
            id: DocumentId(self.id),
            project_id: id("documents.project_id", &self.project_id)?,
            path: self.path,
            category: named("documents.category", &self.category, Category::parse)?,
            description: self.description,
            pinned: self.pinned != 0,
            bytes: self.bytes,
            last_modified: Timestamp(self.modified_ns / 1_000_000),
            missing: self.missing != 0,
            references: self.referred,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// Which documents to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this project.
    pub project: Option<ProjectId>,
    /// Only of this category.
    pub category: Option<Category>,
    /// Only those whose path or description has this in it, in any case.
    pub q: Option<String>,
    /// Only those whose file is missing, or is not.
    pub missing: Option<bool>,
}

/// Finds a document by its id.
pub async fn by_id(db: &Db, document: DocumentId) -> Result<Option<Document>> {
    let row: Option<Row> =
        on!(read db, c => sqlx::query_as(BY_ID).bind(document.0).fetch_optional(c).await?);
    row.map(Row::document).transpose()
}

/// Finds a document by its path.
pub async fn by_path(db: &Db, project: ProjectId, path: &str) -> Result<Option<Document>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_PATH)
        .bind(project.to_string()).bind(text(path)).fetch_optional(c).await?);
    row.map(Row::document).transpose()
}

/// Lists documents: the pinned ones first, then by path.
pub async fn list(
    db: &Db,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Document>> {
    let (pinned, path, last) = after.map_or((2, String::new(), 0), |c| {
        let (path, last) = c.id.split_once('-').unwrap_or(("", "0"));
        (c.at, from_hex(path), last.parse().unwrap_or(0))
    });
    let like = filter.q.as_ref().map(|q| {
        let quoted = q.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        format!("%{quoted}%")
    });
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(LIST)
        .bind(filter.project.map(|p| p.to_string())).bind(filter.category.map(Category::as_str))
        .bind(filter.missing.map(i64::from)).bind(like.as_deref().map(text))
        .bind(pinned).bind(text(&path)).bind(last).bind(i64::from(limit) + 1)
        .fetch_all(c).await?);
    let documents = rows.into_iter().map(Row::document).collect::<Result<Vec<_>>>()?;
    Ok(Page::of(documents, limit, |d| Cursor {
        at: i64::from(d.pinned),
        id: format!("{}-{}", super::text::hex(d.path.as_bytes()), d.id),
    }))
}

/// A path out of a cursor; anything else leads to the beginning.
fn from_hex(hex: &str) -> String {
    if !hex.is_ascii() || hex.len() > 2 * LONGEST_PATH {
        return String::new();
    }
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
    bytes.and_then(|b| String::from_utf8(b).ok()).unwrap_or_default()
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

/// Whether the documents of a project were looked for before.
pub async fn is_known(db: &Db, project: ProjectId) -> Result<bool> {
    let known: Option<i64> = on!(read db, c => sqlx::query_scalar(IS_KNOWN)
        .bind(project.to_string()).fetch_optional(c).await?);
    Ok(known == Some(1))
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
pub(super) async fn apply(
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
    for (sql, part) in CHANGE.parts(&changed) {
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
    for (sql, part) in INSERT.parts(&created) {
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

/// What is to change about a document besides its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// What it is for, from now on whatever its path is.
    pub category: Option<Category>,
    /// What it is about; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
    /// It stands before others.
    pub pinned: Option<bool>,
}

/// Changes what is kept about a document, and tells the event of it.
pub(super) async fn describe(
    tx: &mut Tx,
    document: DocumentId,
    patch: &Patch,
    at: Timestamp,
) -> Result<Option<NewEvent>> {
    let described = patch.description.as_ref();
    let row: Option<(String, String)> = on!(write tx, c => sqlx::query_as(DESCRIBE)
        .bind(document.0).bind(patch.category.map(Category::as_str))
        .bind(i64::from(described.is_some())).bind(described.and_then(|d| d.as_deref().map(text)))
        .bind(patch.pinned.map(i64::from)).bind(at.0)
        .fetch_optional(c).await?);
    let Some((project, path)) = row else { return Ok(None) };
    let project = id("documents.project_id", &project)?;
    Ok(Some(event::document_change(project, document, &path, FileChange::Changed, None, at)))
}

/// Notes that a project's documents were looked for.
pub(super) async fn set_known(tx: &mut Tx, project: ProjectId) -> Result<()> {
    on!(execute tx, sqlx::query(SET_KNOWN).bind(project.to_string()));
    Ok(())
}

/// Forgets a document whose file is missing, if nothing refers to it any more.
pub(super) async fn forget_missing(tx: &mut Tx, document: i64) -> Result<()> {
    on!(execute tx, sqlx::query(FORGET_MISSING).bind(document));
    Ok(())
}

/// Forgets all documents of a project, and what refers to them.
pub(super) async fn clear(tx: &mut Tx, project: ProjectId) -> Result<()> {
    on!(execute tx, sqlx::query(CLEAR_REFERENCES).bind(project.to_string()));
    on!(execute tx, sqlx::query(CLEAR).bind(project.to_string()));
    Ok(())
}
