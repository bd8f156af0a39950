//! `/api/sessions/import`: conversations that were held before Chorus was there.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::types::SessionView;
use super::view;
use crate::api::caller::actor;
use crate::api::problem::{Body, Problem, Query};
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::time::Timestamp;
use crate::services::App;
use crate::services::imports::{self, Candidate};

/// The most conversations that are listed or imported at once.
const MOST: usize = 500;
/// The most that are imported with one request: each is read whole.
const AT_ONCE: usize = 100;

/// What to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only conversations held in this folder or below it.
    folder: Option<String>,
    /// Another configuration folder of Claude Code's than that of the user who runs the server.
    claude_config_dir: Option<String>,
    /// Only conversations that are part of no session yet: what Chorus has run and imported is left out.
    #[serde(default)]
    #[param(required = false)]
    new: bool,
    /// At most so many: 1 to 500, 50 unless told.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// A conversation that can be imported.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PastConversation {
    /// Claude Code's id of it.
    #[schema(value_type = String)]
    pub conversation_id: ConversationId,
    /// Its transcript.
    pub transcript_path: String,
    /// The transcript's size.
    pub bytes: u64,
    /// Where Claude worked.
    pub folder: Option<String>,
    /// What it was called, by a person or by Claude Code.
    pub title: Option<String>,
    /// The beginning of its first prompt.
    pub first_prompt: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When anything was said or done in it last.
    pub modified_at: Timestamp,
    /// The session that it is part of already.
    #[schema(value_type = Option<String>)]
    pub session_id: Option<SessionId>,
}

impl From<Candidate> for PastConversation {
    fn from(c: Candidate) -> Self {
        Self {
            conversation_id: c.past.conversation,
            transcript_path: c.past.path.to_string_lossy().into_owned(),
            bytes: c.past.bytes,
            folder: c.about.cwd,
            title: c.about.title,
            first_prompt: c.about.prompt,
            started_at: c.about.started_at,
            modified_at: c.past.modified_at,
            session_id: c.session,
        }
    }
}

/// Which conversations to import.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Claude Code's ids of them, 1 to 100.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 100)]
    pub conversation_ids: Vec<ConversationId>,
    /// Another configuration folder of Claude Code's; the sessions are resumed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claude_config_dir: Option<String>,
}

/// What became of one of them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportedConversation {
    /// Which.
    #[schema(value_type = String)]
    pub conversation_id: ConversationId,
    /// The session that it is part of now.
    pub session: Option<SessionView>,
    /// It was part of it before; what was new in the transcript was read.
    pub known: bool,
    /// Why it was not imported.
    pub problem: Option<String>,
}

/// Lists the conversations that Claude Code has kept, those held last first.
#[utoipa::path(get, path = "/api/sessions/import", tag = "sessions", operation_id = "list_importable", params(Which),
    responses((status = 200, body = [PastConversation]), (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<PastConversation>>, Problem> {
    let limit = which.limit.unwrap_or(50);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::field("limit", format!("expected a number from 1 to {MOST}")));
    }
    let folder = which.folder.as_deref().map(FilePath::new);
    if folder.is_some_and(|f| !f.is_absolute()) {
        return Err(Problem::field("folder", "expected an absolute path"));
    }
    let config = which.claude_config_dir.as_deref();
    let found = imports::candidates(&app, config, folder, which.new, limit).await?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// Imports conversations that Claude Code has kept.
///
/// Each becomes a session that has ended, with its messages, tool calls and tokens; it can be resumed
/// like any other. One that is known already is read on from where it was left. There are no events of
/// what happened long ago. One conversation that cannot be imported does not keep the others out.
#[utoipa::path(post, path = "/api/sessions/import", tag = "sessions", operation_id = "import_sessions",
    request_body = Import,
    responses((status = 200, body = [ImportedConversation]), (status = 422, description = "An unusable field", body = Problem)))]
pub async fn import(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(wanted): Body<Import>,
) -> Result<Json<Vec<ImportedConversation>>, Problem> {
    let ids = &wanted.conversation_ids;
    if !(1..=AT_ONCE).contains(&ids.len()) {
        return Err(Problem::field("conversation_ids", format!("expected 1 to {AT_ONCE} ids")));
    }
    let config = wanted.claude_config_dir.as_deref();
    let mut answer = Vec::with_capacity(ids.len());
    for imported in imports::import(&app, config, ids, actor(&headers)).await? {
        let (session, problem) = match imported.session {
            Ok(session) => (Some(view(&app, session).await?), None),
            Err(problem) => (None, Some(problem)),
        };
        let (conversation_id, known) = (imported.conversation, imported.known);
        answer.push(ImportedConversation { conversation_id, session, known, problem });
    }
    Ok(Json(answer))
}
