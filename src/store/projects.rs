//! Projects.

use super::{Db, Result, Tx, id, json, on, text, to_json};
use crate::domain::ids::ProjectId;
use crate::domain::project::Project;
use crate::domain::time::Timestamp;

const LIST: &str = "SELECT id, name, root, git, document_patterns, created_at, updated_at \
     FROM projects ORDER BY name, id";
const INSERT: &str = "INSERT INTO projects (id, name, root, git, document_patterns, created_at, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const UPDATE: &str = "UPDATE projects SET name = $2, git = $3, document_patterns = $4, \
     updated_at = $5 WHERE id = $1";
const DELETE: &str = "DELETE FROM projects WHERE id = $1";
const IN_USE: &str = "SELECT COUNT(*) FROM sessions WHERE project_id = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[LIST, INSERT, UPDATE, DELETE, IN_USE];

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: String,
    name: String,
    root: String,
    git: String,
    document_patterns: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn project(self) -> Result<Project> {
        Ok(Project {
            id: id("projects.id", &self.id)?,
            name: self.name,
            root: self.root,
            git: json("projects.git", &self.git)?,
            document_patterns: self
                .document_patterns
                .map(|p| json("projects.document_patterns", &p))
                .transpose()?,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// Lists all projects by name. There are few: one for each repository a person works in.
pub async fn list(db: &Db) -> Result<Vec<Project>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(LIST).fetch_all(c).await?);
    rows.into_iter().map(Row::project).collect()
}

/// Counts the sessions, ended ones too, that belong to a project.
pub async fn sessions_of(db: &Db, project: ProjectId) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(IN_USE).bind(project.to_string()).fetch_one(c).await?))
}

pub(super) async fn insert(tx: &mut Tx, p: &Project) -> Result<()> {
    on!(execute tx, sqlx::query(INSERT)
        .bind(p.id.to_string()).bind(text(&p.name)).bind(text(&p.root))
        .bind(text(&to_json(&p.git))).bind(p.document_patterns.as_ref().map(to_json))
        .bind(p.created_at.0).bind(p.updated_at.0));
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, p: &Project) -> Result<()> {
    on!(execute tx, sqlx::query(UPDATE)
        .bind(p.id.to_string()).bind(text(&p.name)).bind(text(&to_json(&p.git)))
        .bind(p.document_patterns.as_ref().map(to_json)).bind(p.updated_at.0));
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, project: ProjectId) -> Result<()> {
    on!(execute tx, sqlx::query(DELETE).bind(project.to_string()));
    Ok(())
}
