//! The API's endpoints. One list is both what is routed and what is described; the description is
//! made only when somebody asks for it: it takes more time and memory than all else at a start.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::OpenApi;
use utoipa::openapi::HttpMethod;

use super::sessions::{import, life};
use super::{
    activity, audit, carry_through, doc, documents, events, git, hooks, limit_body, notices,
    permissions, projects, references, retention, rules, sessions, settings, summary, tasks,
    templates, terminal, usage,
};
use crate::services::App;

/// The largest request body where nothing else is said. Bytes.
const BODY_LIMIT: usize = 1024 * 1024;

#[derive(OpenApi)]
#[openapi(info(
    title = "Chorus",
    description = "The control plane for many Claude Code sessions. Errors are RFC 9457 problems. \
        Lists are bare arrays; a `Link: <…>; rel=\"next\"` header leads to the next page. Times \
        are RFC 3339 in UTC. A session in a path is its id, its name or its tmux session's name.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
))]
struct Doc;

/// Declares a set of endpoints, by module, whose requests may be as large as `$limit` says.
/// `utoipa::path` leaves what it knows of a handler (its path and its methods, too) in a type that
/// is called `__path_` and the handler's name.
macro_rules! endpoints {
    ($name:ident up to $limit:expr; $($module:ident { $($handler:ident),+ $(,)? })+) => {
        #[derive(OpenApi)]
        #[openapi(paths($($($module::$handler),+),+))]
        struct $name;

        impl $name {
            fn router() -> Router<Arc<App>> {
                use utoipa::Path as _;
                pastey::paste! {
                    Router::new()
                        $($(.route(
                            &$module::[<__path_ $handler>]::path(),
                            serve(&$module::[<__path_ $handler>]::methods(), $module::$handler),
                        ))+)+
                        .layer(from_fn(|request, next| limit_body($limit, request, next)))
                }
            }
        }
    };
}

// For people and their programs.
endpoints! { People up to BODY_LIMIT;
    projects { list, create, get, update, delete }
    sessions { list, create, get, update, send, respond, conversations, attach, output, messages,
        add_message, logs, log_output }
    life { delete, interrupt, pause, resume, restart, fork, adopt }
    import { list, import }
    terminal { terminal }
    tasks { list, create, get, update, patch, delete, order, assign, start, restart_claude, send,
        respond, complete, fail, retry, prompt, references }
    templates { list, create, get, update, delete }
    permissions { list, get, respond, respond_to_many }
    rules { list, create, get, update, delete, preview, proposals }
    audit { list, verify }
    retention { prune }
    usage { report }
    activity { get }
    events { stream }
    summary { get }
    settings { list, doctor, user_hooks, install_user_hooks, uninstall_user_hooks }
    notices { test }
    git { status, setup, project_unattributed, task_unattributed, commits, task_diff, session_diff,
        list, prune, remove }
    documents { list, lines, section, outline, edit }
    references { list, create, get, update, delete }
}

// Documents are brought whole.
endpoints! { Documents up to documents::BODY_LIMIT;
    documents { get, write, update }
}

// For Claude Code.
endpoints! { Hooks up to super::HOOK_LIMIT;
    hooks { receive }
}

fn serve<T: 'static>(
    methods: &[HttpMethod],
    handler: impl Handler<T, Arc<App>>,
) -> MethodRouter<Arc<App>> {
    let mut methods = methods.iter().map(|method| match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    });
    let first = methods.next().expect("utoipa asks for a method");
    on(methods.fold(first, MethodFilter::or), handler)
}

/// The routes of all endpoints.
pub(super) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let through = from_fn_with_state(app.clone(), carry_through);
    // A hook that leaves tells something by that.
    People::router().merge(Documents::router()).layer(through).merge(Hooks::router())
}

/// The description of all endpoints.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    let mut all = Doc::openapi();
    for part in [People::openapi(), Documents::openapi(), Hooks::openapi()] {
        all.merge(part);
    }
    doc::describe_problems(&mut all);
    all
}
