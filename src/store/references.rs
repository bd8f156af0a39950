//! References to lines of documents.

use super::{Db, Result, Tx, documents, on, text};
use crate::domain::document::Lines;
use crate::domain::ids::{DocumentId, ReferenceId, TaskId};
use crate::domain::reference::{Reference, fingerprint};
use crate::domain::time::Timestamp;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, document_id, task_id, start_line, end_line, made_start, made_end, note, ",
            "stored_text, created_at, updated_at FROM document_references ",
            $rest
        )
    };
}

const BY_ID: &str = select!("WHERE id = $1");
const OF_DOCUMENT: &str = select!("WHERE document_id = $1 AND id > $2 ORDER BY id LIMIT $3");
const OF_TASK: &str = select!("WHERE task_id = $1 ORDER BY id LIMIT $2");
const COUNT_OF_TASK: &str = "SELECT COUNT(*) FROM document_references WHERE task_id = $1";
const HAS_TASK: &str = "SELECT COUNT(*) FROM tasks WHERE id = $1";
// What a reference is about may be gone by now: then there is no row.
const INSERT: &str = "INSERT INTO document_references (document_id, task_id, start_line, end_line, \
     made_start, made_end, note, stored_text, fingerprint, created_at, updated_at) \
     SELECT d.id, CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), \
     CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS TEXT), CAST($6 AS TEXT), \
     CAST($7 AS TEXT), CAST($8 AS BIGINT), CAST($8 AS BIGINT) FROM documents d WHERE d.id = $1 AND (CAST($2 AS BIGINT) IS NULL \
     OR EXISTS (SELECT 1 FROM tasks t WHERE t.id = $2)) RETURNING id";
const FOLLOW: &str = "UPDATE document_references SET start_line = $2, end_line = $3, \
     updated_at = $4 WHERE id = $1";
const ACCEPT: &str = "UPDATE document_references SET start_line = $2, end_line = $3, \
     made_start = $2, made_end = $3, stored_text = $4, fingerprint = $5, updated_at = $6 \
     WHERE id = $1";
const NOTE: &str = "UPDATE document_references SET note = $2, updated_at = $3 WHERE id = $1";
const DELETE: &str = "DELETE FROM document_references WHERE id = $1 RETURNING document_id";
const DELETE_OF_TASK: &str =
    "DELETE FROM document_references WHERE task_id = $1 RETURNING document_id";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    BY_ID,
    OF_DOCUMENT,
    OF_TASK,
    COUNT_OF_TASK,
    HAS_TASK,
    INSERT,
    FOLLOW,
    ACCEPT,
    NOTE,
    DELETE,
    DELETE_OF_TASK,
];

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: i64,
    document_id: i64,
    task_id: Option<i64>,
    start_line: i64,
    end_line: i64,
    made_start: i64,
    made_end: i64,
    note: Option<String>,
    stored_text: String,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn reference(self) -> Result<Reference> {
        Ok(Reference {
            id: ReferenceId(self.id),
            document: DocumentId(self.document_id),
            task: self.task_id.map(TaskId),
            lines: lines(self.start_line, self.end_line)?,
            made_at: lines(self.made_start, self.made_end)?,
            note: self.note,
            text: self.stored_text,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

fn lines(start: i64, end: i64) -> Result<Lines> {
    let both = u32::try_from(start).ok().zip(u32::try_from(end).ok());
    both.and_then(|(start, end)| Lines::new(start, end)).ok_or_else(|| super::StoreError::Corrupt {
        what: "document_references.start_line",
        value: format!("{start}-{end}"),
    })
}

/// A reference to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReference {
    /// The document.
    pub document: DocumentId,
    /// The task that it belongs to.
    pub task: Option<TaskId>,
    /// Its lines.
    pub lines: Lines,
    /// What they say.
    pub text: String,
    /// Why they matter.
    pub note: Option<String>,
}

/// What is to change about a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceChange {
    /// Its text was found at these lines.
    Follow(Lines),
    /// This is its text from now on.
    Accept(Lines, String),
    /// Why it matters.
    Note(Option<String>),
}

/// Finds a reference.
pub async fn by_id(db: &Db, reference: ReferenceId) -> Result<Option<Reference>> {
    let row: Option<Row> =
        on!(read db, c => sqlx::query_as(BY_ID).bind(reference.0).fetch_optional(c).await?);
    row.map(Row::reference).transpose()
}

/// Lists at most so many references to a document, by id, after one of them.
pub async fn of_document(
    db: &Db,
    document: DocumentId,
    after: i64,
    limit: u32,
) -> Result<Vec<Reference>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(OF_DOCUMENT)
        .bind(document.0).bind(after).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter().map(Row::reference).collect()
}

/// Lists at most so many references of a task, in the order they were made.
pub async fn of_task(db: &Db, task: TaskId, limit: u32) -> Result<Vec<Reference>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(OF_TASK)
        .bind(task.0).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter().map(Row::reference).collect()
}

/// Counts the references of a task.
pub async fn count_of_task(db: &Db, task: TaskId) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(COUNT_OF_TASK).bind(task.0).fetch_one(c).await?))
}

/// Whether there is such a task.
pub async fn has_task(db: &Db, task: TaskId) -> Result<bool> {
    let count: i64 =
        on!(read db, c => sqlx::query_scalar(HAS_TASK).bind(task.0).fetch_one(c).await?);
    Ok(count > 0)
}

/// Makes a reference, if its document and its task are there.
pub(super) async fn insert(
    tx: &mut Tx,
    r: &NewReference,
    at: Timestamp,
) -> Result<Option<ReferenceId>> {
    let id: Option<i64> = on!(write tx, c => sqlx::query_scalar(INSERT)
        .bind(r.document.0).bind(r.task.map(|t| t.0))
        .bind(i64::from(r.lines.start())).bind(i64::from(r.lines.end()))
        .bind(r.note.as_deref().map(text)).bind(text(&r.text)).bind(fingerprint(&r.text)).bind(at.0)
        .fetch_optional(c).await?);
    Ok(id.map(ReferenceId))
}

pub(super) async fn change(
    tx: &mut Tx,
    id: ReferenceId,
    change: &ReferenceChange,
    at: Timestamp,
) -> Result<()> {
    match change {
        ReferenceChange::Follow(lines) => {
            on!(execute tx, sqlx::query(FOLLOW)
                .bind(id.0).bind(i64::from(lines.start())).bind(i64::from(lines.end())).bind(at.0));
        }
        ReferenceChange::Accept(lines, accepted) => {
            on!(execute tx, sqlx::query(ACCEPT)
                .bind(id.0).bind(i64::from(lines.start())).bind(i64::from(lines.end()))
                .bind(text(accepted)).bind(fingerprint(accepted)).bind(at.0));
        }
        ReferenceChange::Note(note) => {
            on!(execute tx, sqlx::query(NOTE)
                .bind(id.0).bind(note.as_deref().map(text)).bind(at.0));
        }
    }
    Ok(())
}

/// Removes a reference, and its document if that was kept for it alone.
pub(super) async fn delete(tx: &mut Tx, reference: ReferenceId) -> Result<()> {
    let documents: Vec<i64> = on!(write tx, c =>
        sqlx::query_scalar(DELETE).bind(reference.0).fetch_all(c).await?);
    forget_missing(tx, documents).await
}

/// Removes the references of a task that is forgotten.
pub(super) async fn delete_of_task(tx: &mut Tx, task: TaskId) -> Result<()> {
    let documents: Vec<i64> = on!(write tx, c =>
        sqlx::query_scalar(DELETE_OF_TASK).bind(task.0).fetch_all(c).await?);
    forget_missing(tx, documents).await
}

async fn forget_missing(tx: &mut Tx, documents: Vec<i64>) -> Result<()> {
    for document in documents {
        documents::forget_missing(tx, document).await?;
    }
    Ok(())
}
