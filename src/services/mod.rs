//! Use cases: what Chorus does, put together from the store and the outside world.

pub mod activity;
mod app;
pub mod audit;
pub mod couriers;
pub mod database;
pub mod documents;
pub mod elsewhere;
pub mod engine;
pub mod error;
pub mod git;
pub mod glance;
pub mod held;
pub mod imports;
pub mod ingest;
pub mod keyboard;
pub mod launch;
pub mod life;
pub mod live;
pub mod metrics;
pub mod notices;
pub mod observe;
pub mod permissions;
pub mod places;
pub mod projects;
pub mod rate;
pub mod reader;
pub mod recover;
pub mod references;
pub mod retention;
pub mod rules;
pub mod sessions;
pub mod spending;
pub mod summary;
pub mod tasks;
pub mod terminal;
pub mod timeline;
pub mod user_hooks;
pub mod viewers;
pub mod watch;

pub use app::App;

/// Takes in a report that nobody waits for. A failure is logged here: the sweep looks again.
async fn tell(app: &App, report: observe::Report) {
    let session = report.session;
    if let Err(e) = ingest::observed(app, report).await {
        tracing::warn!(error = %e, %session, "an observation of {session} was not recorded");
    }
}
