//! `chorus task`, and the task that `chorus run` makes.

use std::io::Write as _;

use anyhow::Result;
use hyper::Method;
use serde_json::{Value, json};

use super::args::{Ask, EditTask, Launch, ListTasks, Marks, NewTask, Tasks, Telling};
use super::client::{Client, encoded};
use super::commands::text_or_stdin;
use super::exit::Exit;
use super::show::{self, age, line, safe, say};
use super::{docs, git, launch, template};
use crate::api::tasks::{
    Assign, Completion, Failure, NewTask as Order, StartTask, TaskDetail, TaskOrder, TaskPatch,
    TaskPrompt, TaskView, WantedReference,
};
use crate::domain::ids::TaskId;
use crate::domain::reference::ReferenceState;
use crate::domain::task::{GitBackend, PromptAs, TaskOptions, TaskStatus, title_of};

/// Carries out a command about tasks.
pub async fn run(client: &Client, what: Tasks, as_json: bool) -> Result<Exit> {
    match what {
        Tasks::New(new) => make(client, *new, as_json).await?,
        Tasks::Ls(wanted) => list(client, wanted, as_json).await?,
        Tasks::Show(t) => show_one(&client.get(&path(t.id, "")).await?, as_json)?,
        Tasks::Edit(edit) => change(client, edit, as_json).await?,
        Tasks::Start { id, use_stored_text } => {
            let body = StartTask { use_stored_text };
            let task: TaskView = client.post(&path(id, "/start"), &body).await?;
            if task.queued {
                return launch::queued(client, id, as_json).await;
            }
            told(&task, "has started", as_json)?;
        }
        Tasks::Assign { id, session } => {
            let body = Assign { session_id: session.clone() };
            let task: TaskView = client.post(&path(id, "/assign"), &body).await?;
            told(&task, &format!("was given to {session}"), as_json)?;
        }
        Tasks::Complete { id, result, push, pr } => {
            let result = result.map(text_or_stdin).transpose()?;
            let body = Completion { result, push, pr };
            git::ended(&client.post(&path(id, "/complete"), &body).await?, as_json)?;
        }
        Tasks::Fail { id, reason, discard, yes } => {
            if discard && !yes && !git::discards(client, id).await? {
                return Err(Exit::Failed.error("nothing was changed"));
            }
            let result = reason.map(text_or_stdin).transpose()?;
            let body = Failure { result, discard };
            git::ended(&client.post(&path(id, "/fail"), &body).await?, as_json)?;
        }
        Tasks::Retry(t) => {
            let task: TaskView = client.post(&path(t.id, "/retry"), &Value::Null).await?;
            told(&task, "is pending again", as_json)?;
        }
        Tasks::Rm(t) => {
            let none = None::<&Value>;
            let _: Value = client.call(Method::DELETE, &path(t.id, ""), none).await?;
            show::done(&format!("deleted task {}", t.id), &json!({ "deleted": t.id }), as_json)?;
        }
        Tasks::Diff(t) => git::diff(client, t.id, as_json).await?,
        Tasks::Commits(t) => git::commits(client, t.id, as_json).await?,
        Tasks::Prompt(t) => {
            let prompt: TaskPrompt = client.get(&path(t.id, "/prompt")).await?;
            show::done(&safe(&prompt.prompt), &prompt, as_json)?;
        }
        Tasks::Order { ids } => {
            let order = TaskOrder { ids };
            let tasks: Vec<TaskView> =
                client.call(Method::PUT, "/api/tasks/order", Some(&order)).await?;
            table(&tasks, as_json)?;
        }
    }
    Ok(Exit::Ok)
}

fn path(id: TaskId, rest: &str) -> String {
    format!("/api/tasks/{id}{rest}")
}

fn told(task: &TaskView, what: &str, as_json: bool) -> Result<()> {
    show::done(&format!("task {} {what}: {}", task.id, line(&task.title, 80)), task, as_json)
}

/// The task that `chorus run` makes: Claude gets what was typed and nothing else, or what the template says.
pub async fn run_order(
    client: &Client,
    prompt: Option<String>,
    title: Option<String>,
    ask: Ask,
    launch: Launch,
) -> Result<Order> {
    let plain = ask.template.is_none();
    let title = title.or_else(|| prompt.as_deref().filter(|_| plain).map(title_of));
    let order = order(client, title, prompt, ask, &Telling::default(), launch).await?;
    let options =
        order.options.map(|options| TaskOptions { plain: plain || options.plain, ..options });
    Ok(Order { options, ..order })
}

/// What was said of a task. What was not is left to its template, or to the server.
async fn order(
    client: &Client,
    title: Option<String>,
    description: Option<String>,
    ask: Ask,
    telling: &Telling,
    launch: Launch,
) -> Result<Order> {
    let named = match &launch.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir()?,
    };
    let base = match &ask.template {
        Some(name) => {
            let project = launch::project(client, &named).await?.id;
            template::find(client, project, name).await?.options
        }
        None => TaskOptions::default(),
    };
    let elsewhere = launch.directory.is_some();
    let wanted = launch::wanted(client, launch, base.launch.clone()).await?;
    let variable = |pair: &String| {
        let pair = pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Exit::Usage.error("--var wants NAME=VALUE"))
    };
    let marks = &ask.marks;
    let references = references(client, marks).await?;
    Ok(Order {
        title,
        description,
        variables: ask.variables.iter().map(variable).collect::<Result<_>>()?,
        priority: marks.priority,
        project_id: Some(wanted.project),
        labels: Some(marks.labels.clone()).filter(|labels| !labels.is_empty()),
        depends_on: ask.after,
        references: Some(references).filter(|references| !references.is_empty()),
        options: Some(TaskOptions {
            launch: wanted.launch,
            session_name: wanted.name.or(base.session_name.clone()),
            workspace_path: match &base.workspace_path {
                Some(path) if !elsewhere => Some(path.clone()),
                _ => Some(wanted.workspace),
            },
            ..options(base, marks, telling)
        }),
        queued: false,
        template: ask.template,
    })
}

/// The lines of documents that were named.
pub(super) async fn references(client: &Client, marks: &Marks) -> Result<Vec<WantedReference>> {
    let mut references = Vec::new();
    for text in &marks.refs {
        references.push(WantedReference::Text(docs::from_root(client, text).await?));
    }
    Ok(references)
}

/// How a task is worked on: as in `base`, where nothing else is said.
pub(super) fn options(base: TaskOptions, marks: &Marks, telling: &Telling) -> TaskOptions {
    let said = if marks.here { Some(GitBackend::None) } else { marks.git };
    TaskOptions {
        git: said.or(base.git),
        complete_on_idle: marks.complete_on_idle || base.complete_on_idle,
        resend_context: telling.resend_context || base.resend_context,
        prompt_as: if telling.system_prompt { PromptAs::SystemPrompt } else { base.prompt_as },
        ..base
    }
}

async fn make(client: &Client, new: NewTask, as_json: bool) -> Result<()> {
    let description = new.description.map(text_or_stdin).transpose()?;
    let mut order =
        order(client, new.title, description, new.ask, &new.telling, new.launch).await?;
    order.queued = new.queue;
    let task: TaskView = client.post("/api/tasks", &order).await?;
    let next = if new.queue {
        "it is queued".to_owned()
    } else {
        format!("`chorus task start {}` starts it", task.id)
    };
    let text = format!("task {}: {}; {next}", task.id, line(&task.title, 80));
    show::done(&text, &task, as_json)
}

async fn list(client: &Client, wanted: ListTasks, as_json: bool) -> Result<()> {
    let mut query = format!("/api/tasks?sort={}", wanted.sort);
    let given = [
        ("status", wanted.status.map(|s| s.to_string())),
        ("label", wanted.label),
        ("session", wanted.session),
        ("q", wanted.title),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encoded(&value)));
        }
    }
    let tasks: Vec<TaskView> = client.list(&query, wanted.first).await?;
    table(&tasks, as_json)
}

/// Words with commas between them.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

async fn change(client: &Client, edit: EditTask, as_json: bool) -> Result<()> {
    let number = |word: String| {
        let bad = |_| Exit::Usage.error(format!("--after wants tasks' numbers, not {word:?}"));
        word.parse::<TaskId>().map_err(bad)
    };
    let after = edit.after.map(|text| words(&text).into_iter().map(number).collect());
    let patch = TaskPatch {
        title: edit.title,
        description: edit.description.map(text_or_stdin).transpose()?,
        priority: edit.priority,
        labels: edit.labels.as_deref().map(words),
        depends_on: after.transpose()?,
        options: None,
        queued: edit.queue,
    };
    let task: TaskView = client.call(Method::PATCH, &path(edit.id, ""), Some(&patch)).await?;
    told(&task, "was changed", as_json)
}

/// Lines of a document as they were named.
pub(super) fn named(reference: &WantedReference) -> String {
    match reference {
        WantedReference::Text(text) => safe(text),
        WantedReference::Lines(lines) => {
            let note = lines.note.as_deref().map(|note| format!(": {}", line(note, 80)));
            format!("{}{}", safe(&lines.document), note.unwrap_or_default())
        }
    }
}

/// A task's status in a word.
fn state(task: &TaskView) -> String {
    match (task.status, task.queued, task.ready) {
        (TaskStatus::Pending, true, true) => "queued".into(),
        (TaskStatus::Pending, true, false) => "blocked".into(),
        (status, _, _) => status.to_string(),
    }
}

fn table(tasks: &[TaskView], as_json: bool) -> Result<()> {
    if as_json {
        return show::json(&tasks);
    }
    if tasks.is_empty() {
        say!("there is no task; `chorus task new \"…\"` or `chorus run \"…\"` makes one");
        return Ok(());
    }
    say!("{:>5}  {:9}  {:>5}  {:>4}  {:50}  LABELS", "TASK", "STATUS", "PRIO", "AGE", "TITLE");
    for task in tasks {
        say!(
            "{:>5}  {:9}  {:>5}  {:>4}  {:50}  {}",
            task.id.0,
            state(task),
            task.priority,
            age(task.updated_at),
            line(&task.title, 50),
            line(&task.labels.join(", "), 40)
        );
    }
    Ok(())
}

fn show_one(detail: &TaskDetail, as_json: bool) -> Result<()> {
    if as_json {
        return show::json(detail);
    }
    let task = &detail.task;
    say!("task {}: {}", task.id, safe(&task.title));
    say!("  {}, priority {}, changed {} ago", state(task), task.priority, age(task.updated_at));
    if let Some(waits_for) = &detail.waits_for {
        say!("  waits for {}", safe(waits_for));
    }
    for need in &detail.dependencies {
        say!("  after task {} ({}): {}", need.id, need.status, line(&need.title, 60));
    }
    for r in &detail.references {
        let note = r.note.as_deref().map(|note| format!(": {}", line(note, 80)));
        let state = json!(r.state);
        let state = state.as_str().unwrap_or_default();
        let (path, note) = (safe(&r.document_path), note.unwrap_or_default());
        say!("  {path}:{}-{} ({state}){note}", r.start_line, r.end_line);
        let stored = "`chorus task start --use-stored-text` takes what it was made for";
        match r.state {
            ReferenceState::Drifted => {
                say!("    → `chorus docs accept {}` takes the new text, {stored}", r.id);
            }
            ReferenceState::Missing => say!("    → {stored}"),
            ReferenceState::Current | ReferenceState::Moved => {}
        }
    }
    if !task.labels.is_empty() {
        say!("  labels: {}", safe(&task.labels.join(", ")));
    }
    if let Some(result) = &task.result {
        say!("  result: {}", line(result, 400));
    }
    for attempt in &detail.history {
        let how = attempt.outcome.map_or("at work".to_owned(), |outcome| outcome.to_string());
        let why = attempt.result.as_deref().map(|r| format!(": {}", line(r, 200)));
        let (session, why) = (attempt.session_id, why.unwrap_or_default());
        say!(
            "  attempt {} in {session}, {} ago: {how}{why}",
            attempt.number,
            age(attempt.started_at)
        );
        if let Some(branch) = &attempt.branch {
            say!("    on branch {}", safe(branch));
        }
        if let Some(problem) = &attempt.git_problem {
            say!("    not committed: {}", line(problem, 400));
        }
    }
    if !task.description.trim().is_empty() {
        say!("\n{}", safe(task.description.trim_end()));
    }
    Ok(())
}
