//! Documents: what is kept about them.

mod files;

use super::text::containing;
use super::{Cursor, Db, Page, Result, Tx, id, named, on, text};
use crate::domain::document::{Category, Document, FileChange, LONGEST_PATH};
use crate::domain::event::{self, NewEvent};
use crate::domain::hex::hex;
use crate::domain::ids::{DocumentId, ProjectId};
use crate::domain::time::Timestamp;
pub(super) use files::apply;
pub use files::{Change, Known, known, known_at, missing_with_inode};

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

const BY_ID: &str = select!("WHERE id = $1");
const BY_PATH: &str = select!("WHERE project_id = $1 AND path = $2");
const LIST: &str = select!(
    "WHERE (CAST($1 AS TEXT) IS NULL OR project_id = $1) \
     AND (CAST($2 AS TEXT) IS NULL OR category = $2) \
     AND (CAST($3 AS BIGINT) IS NULL OR missing = $3) \
     AND (CAST($4 AS TEXT) IS NULL OR LOWER(path) LIKE LOWER($4) ESCAPE '!' \
          OR LOWER(description) LIKE LOWER($4) ESCAPE '!') \
     AND (pinned < $5 OR (pinned = $5 AND (path, id) > ($6, $7))) \
     ORDER BY pinned DESC, path, id LIMIT $8"
);
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
pub(super) fn statements(db: &Db) -> impl Iterator<Item = &'static str> {
    files::statements(db).chain([
        BY_ID,
        BY_PATH,
        LIST,
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
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(LIST)
        .bind(filter.project.map(|p| p.to_string())).bind(filter.category.map(Category::as_str))
        .bind(filter.missing.map(i64::from)).bind(filter.q.as_deref().map(containing))
        .bind(pinned).bind(text(&path)).bind(last).bind(i64::from(limit) + 1)
        .fetch_all(c).await?);
    let documents = rows.into_iter().map(Row::document).collect::<Result<Vec<_>>>()?;
    Ok(Page::of(documents, limit, |d| Cursor {
        at: i64::from(d.pinned),
        id: format!("{}-{}", hex(d.path.as_bytes()), d.id),
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

/// Whether the documents of a project were looked for before.
pub async fn is_known(db: &Db, project: ProjectId) -> Result<bool> {
    let known: Option<i64> = on!(read db, c => sqlx::query_scalar(IS_KNOWN)
        .bind(project.to_string()).fetch_optional(c).await?);
    Ok(known == Some(1))
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
