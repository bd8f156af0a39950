//! The world that a story happens in.
//!
//! ```ignore
//! let world = World::start().await;            // a real Claude Code and a scripted model
//! let world = World::with_stand_in().await;    // real tmux, but a program that only sits there
//! let world = World::build().script(script).env("CHORUS_POLL_INTERVAL", "0.5").start().await;
//! ```
//!
//! Whatever a world started is ended when it is dropped, after a panic too; then the end of the
//! server's log is printed.

mod agent;
mod claude;
mod events;
mod http;
pub mod processes;
mod store;
mod world;

pub use agent::{Agent, Held};
pub use claude::{demo_tools, stand_in_but};
pub use events::Events;
pub use http::{Answer, Request, Via, connect, connect_unix, is_problem, post_to};
pub use processes::{Output, signal};
pub use store::Store;
pub(crate) use store::on_both_stores;
pub use world::{Builder, World};

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long a fact may take to become true.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a story waits for: `bool`, `Option` and `Result` will do. A `Result`'s error says what was
/// seen instead, and is shown if the fact never comes true.
pub trait Fact {
    /// What is known once it is true.
    type Known;

    /// What is known, or what is seen instead.
    fn known(self) -> Result<Self::Known, String>;
}

impl Fact for bool {
    type Known = ();

    fn known(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("it is not so".into()) }
    }
}

impl<T> Fact for Option<T> {
    type Known = T;

    fn known(self) -> Result<T, String> {
        self.ok_or_else(|| "there is none".into())
    }
}

impl<T, E: Display> Fact for Result<T, E> {
    type Known = T;

    fn known(self) -> Result<T, String> {
        self.map_err(|e| e.to_string())
    }
}

/// Waits until a fact is true, for up to [`PATIENCE`].
pub async fn wait_for<F: Fact>(what: &str, fact: impl AsyncFnMut() -> F) -> F::Known {
    wait_longer(PATIENCE, what, fact).await
}

/// How many programs want each processor: the bounds are for a machine that keeps up, and on one
/// that does not everything, Claude Code and tmux too, takes that much longer. At least 1.
pub fn busyness() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|l| l.parse().ok()).unwrap_or(1.0);
    let processors = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    (load / processors).max(1.0)
}

/// Waits until a fact is true, for up to `limit` on a machine that keeps up.
pub async fn wait_longer<F: Fact>(
    limit: Duration,
    what: &str,
    mut fact: impl AsyncFnMut() -> F,
) -> F::Known {
    let began = Instant::now();
    loop {
        match fact().await.known() {
            Ok(known) => return known,
            Err(seen) if began.elapsed() > limit.mul_f64(busyness()) => {
                panic!("waited {limit:?} in vain until {what}: {seen}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(15)).await,
        }
    }
}
