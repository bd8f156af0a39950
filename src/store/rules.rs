//! Rules that decide permission requests.

use super::{Db, Result, Tx, id, named, on, text};
use crate::domain::ids::RuleId;
use crate::domain::rule::{Pattern, Rule, RuleAction};
use crate::domain::time::Timestamp;

const ALL: &str = "SELECT id, action, tool, command, path, project_id, session_id, note, \
     created_by, created_at, updated_at, hits, last_hit_at FROM permission_rules \
     ORDER BY created_at, id";
const INSERT: &str = "INSERT INTO permission_rules (id, action, tool, command, path, project_id, \
     session_id, note, created_by, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const UPDATE: &str = "UPDATE permission_rules SET action = $2, tool = $3, command = $4, path = $5, \
     note = $6, updated_at = $7 WHERE id = $1";
const DELETE: &str = "DELETE FROM permission_rules WHERE id = $1";
const HIT: &str = "UPDATE permission_rules SET hits = hits + 1, last_hit_at = $2 WHERE id = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[ALL, INSERT, UPDATE, DELETE, HIT];

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: String,
    action: String,
    tool: String,
    command: Option<String>,
    path: Option<String>,
    project_id: Option<String>,
    session_id: Option<String>,
    note: Option<String>,
    created_by: String,
    created_at: i64,
    updated_at: i64,
    hits: i64,
    last_hit_at: Option<i64>,
}

impl Row {
    fn rule(self) -> Result<Rule> {
        let project = self.project_id.map(|p| id("permission_rules.project_id", &p)).transpose()?;
        let session = self.session_id.map(|s| id("permission_rules.session_id", &s)).transpose()?;
        let rule = Rule {
            id: id("permission_rules.id", &self.id)?,
            action: named("permission_rules.action", &self.action, RuleAction::parse)?,
            pattern: Pattern { tool: self.tool, command: self.command, path: self.path },
            project_id: project,
            session_id: session,
            note: self.note,
            words: String::new(),
            created_by: self.created_by,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            hits: self.hits,
            last_hit_at: self.last_hit_at.map(Timestamp),
        };
        Ok(rule.reworded())
    }
}

/// Reads all rules, oldest first. People make them, so they are few.
pub async fn all(db: &Db) -> Result<Vec<Rule>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(ALL).fetch_all(c).await?);
    rows.into_iter().map(Row::rule).collect()
}

pub(super) async fn insert(tx: &mut Tx, r: &Rule) -> Result<()> {
    on!(execute tx, sqlx::query(INSERT)
        .bind(r.id.to_string()).bind(r.action.as_str())
        .bind(text(&r.pattern.tool)).bind(r.pattern.command.as_deref().map(text))
        .bind(r.pattern.path.as_deref().map(text))
        .bind(r.project_id.map(|p| p.to_string())).bind(r.session_id.map(|s| s.to_string()))
        .bind(r.note.as_deref().map(text)).bind(text(&r.created_by)).bind(r.created_at.0).bind(r.updated_at.0));
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, r: &Rule) -> Result<()> {
    on!(execute tx, sqlx::query(UPDATE)
        .bind(r.id.to_string()).bind(r.action.as_str())
        .bind(text(&r.pattern.tool)).bind(r.pattern.command.as_deref().map(text))
        .bind(r.pattern.path.as_deref().map(text))
        .bind(r.note.as_deref().map(text)).bind(r.updated_at.0));
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, rule: RuleId) -> Result<()> {
    on!(execute tx, sqlx::query(DELETE).bind(rule.to_string()));
    Ok(())
}

pub(super) async fn hit(tx: &mut Tx, rule: RuleId, at: Timestamp) -> Result<()> {
    on!(execute tx, sqlx::query(HIT).bind(rule.to_string()).bind(at.0));
    Ok(())
}
