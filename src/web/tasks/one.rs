//! One task: what is to be done, what matters for it, and what became of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::api::problem::{Path, Problem, Query};
use crate::domain::ids::TaskId;
use crate::domain::reference::ReferenceState;
use crate::domain::session::{ClaudeStatus, Session};
use crate::domain::task::{Attempt, Task, TaskStatus};
use crate::domain::time::Timestamp;
use crate::services::git::Commit;
use crate::services::{App, git, projects, references, sessions, tasks};
use crate::store::tasks::Need;
use crate::web::markdown::{self, SafeHtml};
use crate::web::plain::plain;
use crate::web::shell::Shell;
use crate::web::{Part, html, no_such_part};

/// Commits and attempts that are shown.
const COMMITS: usize = 50;
const ATTEMPTS: usize = 20;
/// Characters of a text out of a document, and of a prompt, that are shown.
const EXCERPT: usize = 20_000;

#[derive(Template)]
#[template(path = "tasks/task.html", blocks = ["about", "needs", "references", "work"])]
struct Page {
    shell: Shell,
    task: Task,
    /// What is to be done, rendered.
    description: SafeHtml,
    waits_for: String,
    project: String,
    session: Option<Session>,
    needs: Vec<Need>,
    references: Vec<Reference>,
    /// A reference's text is not what it was: a start may use what it was.
    drifted: bool,
    attempts: Vec<Attempt>,
    more_attempts: bool,
    branch: Option<Branch>,
}

/// Lines of a document, as they are and as they were.
struct Reference {
    id: i64,
    document: i64,
    path: String,
    state: ReferenceState,
    start: u32,
    end: u32,
    now: Option<String>,
    /// What it was, if that is something else.
    was: Option<(u32, u32, String)>,
    note: String,
}

/// Where a task's edits are.
struct Branch {
    name: String,
    worktree: String,
    problem: String,
    commits: Vec<Commit>,
    more: bool,
    /// Why the commits cannot be told.
    unknown: String,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<TaskId>,
    Query(wanted): Query<Part>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "tasks").await?;
    let detail = tasks::get(&app, id).await?;
    let mut task = detail.view.task;
    task.result = task.result.map(|text| cut(plain(&text)));
    let session = match task.session_id {
        Some(session) => sessions::by_id(&app, session).await.ok(),
        None => None,
    };
    let branch = match (wanted.part.as_deref(), detail.attempts.first()) {
        (None | Some("work"), Some(attempt)) => branch(&app, id, attempt).await,
        _ => None,
    };
    let references: Vec<Reference> = detail.references.into_iter().map(reference).collect();
    let mut attempts = detail.attempts;
    let more_attempts = attempts.len() > ATTEMPTS;
    attempts.truncate(ATTEMPTS);
    for attempt in &mut attempts {
        attempt.prompt = cut(std::mem::take(&mut attempt.prompt));
        attempt.result = attempt.result.take().map(|text| plain(&text));
    }
    let page = Page {
        shell,
        description: markdown::render(&task.description),
        waits_for: detail.waits_for.unwrap_or_default(),
        project: projects::get(&app, task.project_id).await?.name,
        session,
        needs: detail.needs,
        drifted: references.iter().any(|r| r.was.is_some()),
        references,
        attempts,
        more_attempts,
        branch,
        task,
    };
    match wanted.part.as_deref() {
        None => html(page),
        Some("about") => html(page.as_about()),
        Some("needs") => html(page.as_needs()),
        Some("references") => html(page.as_references()),
        Some("work") => html(page.as_work()),
        Some(part) => Err(no_such_part(part)),
    }
}

impl Page {
    fn is_pending(&self) -> bool {
        self.task.status == TaskStatus::Pending
    }

    fn has_failed(&self) -> bool {
        self.task.status == TaskStatus::Failed
    }

    /// The ids of all that it depends on but one, as JSON.
    fn needs_but(&self, but: &TaskId) -> String {
        let ids: Vec<i64> =
            self.task.depends_on.iter().filter(|id| *id != but).map(|id| id.0).collect();
        serde_json::json!({ "depends_on": ids }).to_string()
    }

    fn ids(&self) -> String {
        let ids: Vec<String> = self.task.depends_on.iter().map(ToString::to_string).collect();
        ids.join(" ")
    }

    fn at(&self, commit: &Commit) -> Timestamp {
        Timestamp(commit.committed_at.saturating_mul(1000))
    }

    fn waits_for_you(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.state.claude_status == ClaudeStatus::Waiting)
    }
}

fn reference(shown: references::Shown) -> Reference {
    let references::Shown { reference: r, document, standing } = shown;
    let lost = matches!(standing.state, ReferenceState::Drifted | ReferenceState::Missing);
    Reference {
        id: r.id.0,
        document: document.id.0,
        path: document.path,
        state: standing.state,
        start: standing.lines.start(),
        end: standing.lines.end(),
        now: standing.text.map(cut),
        was: lost.then(|| (r.made_at.start(), r.made_at.end(), cut(r.text))),
        note: r.note.unwrap_or_default(),
    }
}

async fn branch(app: &App, id: TaskId, attempt: &Attempt) -> Option<Branch> {
    let name = attempt.branch.clone()?;
    let (mut commits, unknown) = match git::commits(app, id).await {
        Ok(commits) => (commits, String::new()),
        Err(e) => (Vec::new(), e.to_string()),
    };
    let more = commits.len() > COMMITS;
    commits.truncate(COMMITS);
    Some(Branch {
        name,
        worktree: attempt.worktree.clone().unwrap_or_default(),
        problem: attempt.git_problem.clone().unwrap_or_default(),
        commits,
        more,
        unknown,
    })
}

/// Cuts a text to what a page shows of it.
fn cut(text: String) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((at, _)) => format!("{}\n… ({} more bytes)", &text[..at], text.len() - at),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{EXCERPT, cut};

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("short".into()), "short");
        let long = "ü".repeat(EXCERPT + 5);
        assert!(cut(long).ends_with("ü\n… (10 more bytes)"));
    }
}
