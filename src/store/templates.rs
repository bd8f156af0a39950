//! Templates of tasks.

use super::{Cursor, Db, Page, Result, Tx, id, json, key, on, text, to_json};
use crate::domain::ids::{ProjectId, TemplateId};
use crate::domain::task::template::Template;
use crate::domain::time::Timestamp;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, name, title, description, priority, labels, lines, options, \
             created_at, updated_at FROM prompt_templates ",
            $rest
        )
    };
}

const LIST: &str = select!(
    "WHERE (created_at, id) > ($1, $2) \
     AND (CAST($3 AS TEXT) IS NULL OR project_id = $3) AND (CAST($4 AS TEXT) IS NULL OR name = $4) \
     ORDER BY created_at, id LIMIT $5"
);
const BY_ID: &str = select!("WHERE id = $1");
const BY_NAME: &str = select!("WHERE project_id = $1 AND name = $2");
const BY_IDEMPOTENCY_KEY: &str = select!("WHERE idempotency_key = $1");
const IN_PROJECT: &str = "SELECT COUNT(*) FROM prompt_templates WHERE project_id = $1";
const INSERT: &str = "INSERT INTO prompt_templates (id, project_id, name, title, description, \
     priority, labels, lines, options, created_at, updated_at, idempotency_key) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const UPDATE: &str = "UPDATE prompt_templates SET name = $2, title = $3, description = $4, \
     priority = $5, labels = $6, lines = $7, options = $8, updated_at = $9 WHERE id = $1";
const DELETE: &str = "DELETE FROM prompt_templates WHERE id = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[LIST, BY_ID, BY_NAME, BY_IDEMPOTENCY_KEY, IN_PROJECT, INSERT, UPDATE, DELETE];

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: String,
    project_id: String,
    name: String,
    title: String,
    description: String,
    priority: i64,
    labels: String,
    lines: String,
    options: String,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn template(self) -> Result<Template> {
        Ok(Template {
            id: id("prompt_templates.id", &self.id)?,
            project_id: id("prompt_templates.project_id", &self.project_id)?,
            name: self.name,
            title: self.title,
            description: self.description,
            priority: self.priority,
            labels: json("prompt_templates.labels", &self.labels)?,
            references: json("prompt_templates.lines", &self.lines)?,
            options: json("prompt_templates.options", &self.options)?,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// Which templates to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this project.
    pub project: Option<ProjectId>,
    /// Only with this name.
    pub name: Option<String>,
}

/// Lists templates, the oldest first.
pub async fn list(
    db: &Db,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Template>> {
    let (at, id) = after.map_or((i64::MIN, ""), |c| (c.at, c.id.as_str()));
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(LIST)
        .bind(at).bind(id)
        .bind(filter.project.map(|p| p.to_string())).bind(filter.name.as_deref().map(text))
        .bind(i64::from(limit) + 1)
        .fetch_all(c).await?);
    let templates = rows.into_iter().map(Row::template).collect::<Result<Vec<_>>>()?;
    Ok(Page::of(templates, limit, |t| Cursor { at: t.created_at.0, id: t.id.to_string() }))
}

/// Finds a template.
pub async fn by_id(db: &Db, template: TemplateId) -> Result<Option<Template>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_ID)
        .bind(template.to_string()).fetch_optional(c).await?);
    row.map(Row::template).transpose()
}

/// Finds a template of a project by its name.
pub async fn by_name(db: &Db, project: ProjectId, name: &str) -> Result<Option<Template>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_NAME)
        .bind(project.to_string()).bind(text(name)).fetch_optional(c).await?);
    row.map(Row::template).transpose()
}

/// Finds the template that an earlier request with the same `Idempotency-Key` made.
pub async fn by_idempotency_key(db: &Db, wanted: &str) -> Result<Option<Template>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_IDEMPOTENCY_KEY)
        .bind(key(wanted)).fetch_optional(c).await?);
    row.map(Row::template).transpose()
}

/// Counts the templates of a project.
pub async fn of_project(db: &Db, project: ProjectId) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(IN_PROJECT)
        .bind(project.to_string()).fetch_one(c).await?))
}

pub(super) async fn insert(tx: &mut Tx, t: &Template, idempotency_key: Option<&str>) -> Result<()> {
    on!(execute tx, sqlx::query(INSERT)
        .bind(t.id.to_string()).bind(t.project_id.to_string()).bind(text(&t.name))
        .bind(text(&t.title)).bind(text(&t.description)).bind(t.priority)
        .bind(to_json(&t.labels)).bind(to_json(&t.references)).bind(to_json(&t.options))
        .bind(t.created_at.0).bind(t.updated_at.0).bind(idempotency_key.map(key)));
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, t: &Template) -> Result<()> {
    on!(execute tx, sqlx::query(UPDATE)
        .bind(t.id.to_string()).bind(text(&t.name))
        .bind(text(&t.title)).bind(text(&t.description)).bind(t.priority)
        .bind(to_json(&t.labels)).bind(to_json(&t.references)).bind(to_json(&t.options))
        .bind(t.updated_at.0));
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, template: TemplateId) -> Result<()> {
    on!(execute tx, sqlx::query(DELETE).bind(template.to_string()));
    Ok(())
}
