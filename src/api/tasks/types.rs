//! What the task endpoints take and give.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::problem::some_object;
use crate::api::references::ReferenceView;
use crate::domain::ids::{ProjectId, SessionId, TaskId};
use crate::domain::reference::Wanted;
use crate::domain::task::{Attempt, Task, TaskOptions, TaskStatus};
use crate::domain::time::Timestamp;
use crate::services::git::Offer;
use crate::services::tasks::{Detail, View};

/// A task.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Its id: a small number that is never given twice.
    pub id: TaskId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// What it is, in one line.
    pub title: String,
    /// What is to be done.
    pub description: String,
    /// Higher is more important.
    pub priority: i64,
    /// Among tasks of the same priority: the lowest comes first. `PUT /api/tasks/order` changes it.
    pub position: i64,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// It waits to be started by itself: for room, or for what it depends on.
    pub queued: bool,
    /// Nothing that it depends on is open.
    pub ready: bool,
    /// The session that works on it, or did last.
    pub session_id: Option<SessionId>,
    /// How often it was started.
    pub attempts: i64,
    /// What people sort it by.
    pub labels: Vec<String>,
    /// What has to be completed before it is started.
    pub depends_on: Vec<TaskId>,
    /// How it is started.
    pub options: TaskOptions,
    /// What came of it, or why it failed, or why its last start came to nothing.
    pub result: Option<String>,
    /// How often its Claude was started again on request.
    pub restarts: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When anything about it changed last.
    pub updated_at: Timestamp,
    /// When it was given to a session, the last time.
    pub started_at: Option<Timestamp>,
    /// When it was completed or failed.
    pub completed_at: Option<Timestamp>,
}

impl From<View> for TaskView {
    fn from(View { task, ready }: View) -> Self {
        let Task { id, project_id, title, description, priority, position, status, queued, .. } =
            task;
        Self {
            id,
            project_id,
            title,
            description,
            priority,
            position,
            status,
            queued,
            ready,
            session_id: task.session_id,
            attempts: task.attempts,
            labels: task.labels,
            depends_on: task.depends_on,
            options: task.options,
            result: task.result,
            restarts: task.restarts,
            created_at: task.created_at,
            updated_at: task.updated_at,
            started_at: task.started_at,
            completed_at: task.completed_at,
        }
    }
}

/// A task that another one depends on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    /// Which.
    pub id: TaskId,
    /// Its title.
    pub title: String,
    /// Where it is in its life. A failed one holds up what depends on it.
    pub status: TaskStatus,
}

/// Lines of a document that matter for a task: as a text, or field by field.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum WantedReference {
    /// `path:10-40`, `path:10`, `path#Heading` or `path`, relative to the project's root.
    Text(String),
    /// The same with a note.
    Lines(WantedLines),
}

/// Lines of a document that matter for a task.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedLines {
    /// The document's path, relative to the project's root.
    #[serde(alias = "path", alias = "document_path")]
    pub document: String,
    /// The first line, counted from 1; all of them unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_line: Option<u32>,
    /// The last line, inclusive; the first one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// Why they matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl From<WantedReference> for Wanted {
    fn from(wanted: WantedReference) -> Self {
        match wanted {
            WantedReference::Text(target) => Self { target, note: None },
            WantedReference::Lines(WantedLines { document, start_line, end_line, note }) => {
                let target = match (start_line, end_line.or(start_line)) {
                    (None, None) => document,
                    (start, end) => {
                        format!("{document}:{}-{}", start.unwrap_or(1), end.unwrap_or(1))
                    }
                };
                Self { target, note }
            }
        }
    }
}

impl From<Wanted> for WantedReference {
    fn from(Wanted { target, note }: Wanted) -> Self {
        match note {
            None => Self::Text(target),
            note => Self::Lines(WantedLines {
                document: target,
                start_line: None,
                end_line: None,
                note,
            }),
        }
    }
}

/// A task with what belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskDetail {
    /// The task.
    #[serde(flatten)]
    pub task: TaskView,
    /// The lines of documents that matter for it.
    pub references: Vec<ReferenceView>,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// What keeps it in the queue, in words.
    pub waits_for: Option<String>,
    /// Its starts, the last one first; the last hundred.
    pub history: Vec<Attempt>,
}

impl From<Detail> for TaskDetail {
    fn from(detail: Detail) -> Self {
        let dependency = |n: crate::store::tasks::Need| Dependency {
            id: n.id,
            title: n.title,
            status: n.status,
        };
        Self {
            task: detail.view.into(),
            references: detail.references.into_iter().map(ReferenceView::from).collect(),
            dependencies: detail.needs.into_iter().map(dependency).collect(),
            waits_for: detail.waits_for,
            history: detail.attempts,
        }
    }
}

/// A task to create. What is not given is as the template says, if there is one.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewTask {
    /// What it is, in one line. Only a template can do without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is to be done, in Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A template to make it of: its id, or its name in the project. What is given beside goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What stands for each of the template's variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Higher is more important; 0 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The project. The template's or the default one unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// What people sort it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// What has to be completed before it is started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// Lines of documents that matter for it: they go to Claude with the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<WantedReference>>,
    /// How it is started, all of it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_object")]
    pub options: Option<TaskOptions>,
    /// Start it by itself as soon as there is room and nothing that it depends on is open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub queued: bool,
}

/// What may be changed about a task. What is not given stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaskPatch {
    /// What it is, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is to be done. What Claude was told already stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How important it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// All of its labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// All that it depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<TaskId>>,
    /// How it is started, all of it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_object")]
    pub options: Option<TaskOptions>,
    /// Whether it waits to be started by itself; only as long as it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued: Option<bool>,
}

/// Whom to give a task to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// The session: its id, its name or its tmux session's name.
    pub session_id: String,
}

/// How to start a task.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StartTask {
    /// Of a reference whose text has changed or is gone, Claude gets the text that it was made for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_stored_text: bool,
}

/// How a task is completed, and what becomes of its branch.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Completion {
    /// What came of it.
    #[serde(alias = "reason", skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Push its branch.
    pub push: bool,
    /// Make a pull request of it, by `gh`; it is pushed for that.
    pub pr: bool,
}

/// How a task is given up, and what becomes of its branch.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Failure {
    /// Why.
    #[serde(alias = "reason", skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Take its branch away, with its edits and its worktree. The commit is told from which it can be had
    /// back.
    pub discard: bool,
}

/// A task that is over.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EndedTask {
    /// The task.
    #[serde(flatten)]
    pub task: TaskView,
    /// What can be done with its branch, if it has one.
    pub git: Option<Offer>,
    /// The last commit of the branch that was discarded.
    pub discarded_commit: Option<String>,
}

/// How to start a task's Claude again.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RestartClaude {
    /// Tell it of the task again; as the task's options say unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resend_context: Option<bool>,
    /// Begin a new conversation instead of resuming the last.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// Tasks in the order that they are to have among themselves.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskOrder {
    /// Their ids.
    pub ids: Vec<TaskId>,
}

/// What Claude is told of a task.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskPrompt {
    /// The text, byte for byte as Claude gets it.
    pub prompt: String,
}
