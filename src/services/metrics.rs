//! What `/metrics` tells, in Prometheus' words.
//!
//! Counters are made of committed events, so they never tell of what is not in the log. Gauges are
//! taken when somebody asks. Labels come from closed sets: never a name, a path or a text.

use std::time::Duration;

use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts,
    Registry, TextEncoder,
};
use serde::Deserialize;

use super::App;
use super::error::Error;
use super::live::Live;
use super::summary::{self, SessionCounts};
use crate::claude::tools;
use crate::clock;
use crate::domain::event::{Event, EventKind};
use crate::domain::names::names;
use crate::domain::permission::{PermissionStatus, Verdict};
use crate::domain::record::ToolStatus;
use crate::domain::session::{ClaudeStatus, SessionState, Status};
use crate::domain::time::Timestamp;
use crate::{process, spool};

/// Upper bounds for the time that tools run, in milliseconds.
const TOOL_MS: [f64; 15] = [
    10., 25., 50., 100., 250., 500., 1_000., 2_500., 5_000., 10_000., 30_000., 60_000., 120_000.,
    300_000., 600_000.,
];
/// Upper bounds for people's time to decide, in seconds.
const WAIT_SECONDS: [f64; 10] = [1., 2., 5., 10., 30., 60., 300., 900., 3_600., 14_400.];
/// Upper bounds for what machines do, in seconds.
const MACHINE_SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.];

/// What became of a hook's delivery.
#[derive(Clone, Copy, Debug)]
pub enum HookOutcome {
    /// It is durable.
    Taken,
    /// It was of no use: no session's, no token, not readable.
    Refused,
    /// Its session sends too many.
    Limited,
}

names!(HookOutcome { Taken => "taken", Refused => "refused", Limited => "limited" });

/// The counters.
pub struct Metrics {
    registry: Registry,
    events: IntCounterVec,
    tools: IntCounterVec,
    tool_ms: HistogramVec,
    tool_seconds: HistogramVec,
    asked: IntCounterVec,
    decided: HistogramVec,
    hooks: IntCounterVec,
    hook_lag: Histogram,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    sessions: GaugeVec,
    active: Gauge,
    pending: Gauge,
    oldest: Gauge,
    spooled: Gauge,
    listeners: Gauge,
    /// Where the system tells.
    own: Option<Own>,
}

/// What the server itself uses.
struct Own {
    cpu: Counter,
    resident: Gauge,
    files: Gauge,
}

/// Makes a metric and registers it.
macro_rules! registered {
    ($registry:expr, $metric:expr) => {{
        let metric = $metric?;
        $registry.register(Box::new(metric.clone()))?;
        metric
    }};
}

impl Metrics {
    /// Makes all of them, at zero.
    ///
    /// # Errors
    /// If two have one name, which a test would find.
    pub fn new() -> Result<Self, prometheus::Error> {
        let r = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        let times = |name: &str, help: &str, labels: &[&str], bounds: &[f64]| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds.to_vec()), labels)
        };
        let tool_seconds = TOOL_MS.map(|ms| ms / 1_000.);
        let build =
            GaugeVec::new(Opts::new("chorus_build_info", "1, with the version."), &["version"]);
        let build = registered!(r, build);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.);
        let start =
            Gauge::new("process_start_time_seconds", "When the server was started, since 1970.");
        registered!(r, start).set(clock::now().0 as f64 / 1_000.);
        let metrics = Self {
            events: registered!(
                r,
                counter("chorus_events_total", "Events written to the log.", &["kind"])
            ),
            tools: registered!(
                r,
                counter("tool_executions_total", "Tool calls that ended.", &["tool", "status"])
            ),
            tool_ms: registered!(
                r,
                times(
                    "tool_duration_ms",
                    "How long tools ran, in milliseconds.",
                    &["tool"],
                    &TOOL_MS
                )
            ),
            tool_seconds: registered!(
                r,
                times("tool_duration_seconds", "How long tools ran.", &["tool"], &tool_seconds)
            ),
            asked: registered!(
                r,
                counter(
                    "chorus_permission_requests_total",
                    "Permission requests that were settled, by how.",
                    &["outcome"]
                )
            ),
            decided: registered!(
                r,
                times(
                    "chorus_permission_wait_seconds",
                    "From a permission request to its decision.",
                    &["decision"],
                    &WAIT_SECONDS
                )
            ),
            hooks: registered!(
                r,
                counter("chorus_hooks_total", "Hooks that came in.", &["outcome"])
            ),
            hook_lag: registered!(
                r,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "chorus_hook_lag_seconds",
                        "From a hook's start to its arrival; long if it was spooled."
                    )
                    .buckets(MACHINE_SECONDS.to_vec())
                )
            ),
            requests: registered!(
                r,
                counter(
                    "chorus_http_requests_total",
                    "Answers to HTTP requests.",
                    &["method", "route", "status"]
                )
            ),
            request_seconds: registered!(
                r,
                times(
                    "chorus_http_request_duration_seconds",
                    "From an HTTP request to the beginning of its answer.",
                    &["route"],
                    &MACHINE_SECONDS
                )
            ),
            sessions: registered!(
                r,
                GaugeVec::new(
                    Opts::new(
                        "chorus_sessions",
                        "Sessions that have not ended, by what Claude does."
                    ),
                    &["state"]
                )
            ),
            active: registered!(r, Gauge::new("active_sessions", "Sessions in which Claude runs.")),
            pending: registered!(
                r,
                Gauge::new(
                    "chorus_permissions_pending",
                    "Permission requests that wait for a decision."
                )
            ),
            oldest: registered!(
                r,
                Gauge::new(
                    "chorus_permission_oldest_pending_seconds",
                    "How long the oldest of them has waited; 0 if none waits."
                )
            ),
            spooled: registered!(
                r,
                Gauge::new("chorus_spool_files", "Hooks that wait in the spool to be taken in.")
            ),
            listeners: registered!(r, Gauge::new("chorus_event_listeners", "Open live streams.")),
            own: process::own_usage().map(|_| Own::new(&r)).transpose()?,
            registry: r,
        };
        metrics.begin();
        Ok(metrics)
    }

    /// Lets every counter whose labels are known begin at zero: `rate` misses the first increment
    /// of one that appears with it.
    fn begin(&self) {
        for kind in EventKind::ALL {
            self.events.with_label_values(&[kind.as_str()]);
        }
        for tool in tools::KNOWN.into_iter().chain([tools::MCP, tools::OTHER]) {
            for status in [ToolStatus::Completed, ToolStatus::Error] {
                self.tools.with_label_values(&[tool, status.as_str()]);
            }
        }
        for outcome in OUTCOMES {
            self.asked.with_label_values(&[outcome]);
        }
        for outcome in HookOutcome::ALL {
            self.hooks.with_label_values(&[outcome.as_str()]);
        }
    }

    /// Counts what was committed.
    pub fn count(&self, events: &[Event]) {
        for Event { event, .. } in events {
            self.events.with_label_values(&[event.kind.as_str()]).inc();
            match event.kind {
                EventKind::ToolUse => {
                    if let Ok(call) = serde_json::from_str(&event.data) {
                        self.tool(&call);
                    }
                }
                EventKind::PermissionResolved => {
                    if let Ok(request) = serde_json::from_str(&event.data) {
                        self.permission(&request);
                    }
                }
                _ => {}
            }
        }
    }

    fn tool(&self, call: &Called) {
        if call.status == ToolStatus::Running {
            return;
        }
        let tool = tools::label(&call.tool);
        self.tools.with_label_values(&[tool, call.status.as_str()]).inc();
        if let Some(ms) = call.duration_ms {
            self.tool_ms.with_label_values(&[tool]).observe(ms as f64);
            self.tool_seconds.with_label_values(&[tool]).observe(ms as f64 / 1_000.);
        }
    }

    fn permission(&self, request: &Moved) {
        let outcome = match (request.status, request.decided_at, request.verdict) {
            (PermissionStatus::Decided, Some(at), Some(verdict)) => {
                let decision = verdict.as_str();
                let waited = (at.0 - request.requested_at.0).max(0) as f64 / 1_000.;
                self.decided.with_label_values(&[decision]).observe(waited);
                decision
            }
            // What was decided is counted already, whatever becomes of it.
            (_, Some(_), _) => return,
            (status, None, _) if status.is_open() => return,
            (status, None, _) => status.as_str(),
        };
        self.asked.with_label_values(&[outcome]).inc();
    }

    /// Counts a hook that came in, `lag` after it had begun.
    pub fn hook(&self, outcome: HookOutcome, lag: Duration) {
        self.hooks.with_label_values(&[outcome.as_str()]).inc();
        self.hook_lag.observe(lag.as_secs_f64());
    }

    /// Counts an answer. `route` is the path's template, of which there are few.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[method, route, class]).inc();
        self.request_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    fn set(&self, now: &Gauges) {
        let SessionCounts { waiting, busy, idle, starting, permissions } = now.counts;
        for (state, count) in [
            ("waiting", waiting),
            ("busy", busy),
            ("idle", idle),
            ("starting", starting),
            ("stopped", now.stopped),
            ("paused", now.paused),
        ] {
            self.sessions.with_label_values(&[state]).set(count as f64);
        }
        self.active.set((waiting + busy + idle + starting) as f64);
        self.pending.set(permissions as f64);
        self.oldest.set(now.oldest.map_or(0., |at| (clock::now().0 - at.0).max(0) as f64 / 1_000.));
        self.spooled.set(now.spooled as f64);
        self.listeners.set(now.listeners as f64);
        if let (Some(own), Some(usage)) = (&self.own, &now.own) {
            own.cpu.inc_by((usage.cpu - own.cpu.get()).max(0.));
            own.resident.set(usage.resident as f64);
            own.files.set(usage.open_files as f64);
        }
    }
}

impl Own {
    fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        let cpu = Counter::new("process_cpu_seconds_total", "CPU time that the server used.");
        let resident = Gauge::new("process_resident_memory_bytes", "The server's memory in RAM.");
        let files = Gauge::new("process_open_fds", "Files and sockets that the server has open.");
        Ok(Self {
            cpu: registered!(r, cpu),
            resident: registered!(r, resident),
            files: registered!(r, files),
        })
    }
}

const OUTCOMES: [&str; 5] = [
    Verdict::Allow.as_str(),
    Verdict::Deny.as_str(),
    "answered_in_terminal",
    "expired",
    "cancelled",
];

/// What a tool call's event says.
#[derive(Deserialize)]
struct Called {
    tool: String,
    status: ToolStatus,
    duration_ms: Option<i64>,
}

/// What a permission request's event says.
#[derive(Deserialize)]
struct Moved {
    status: PermissionStatus,
    verdict: Option<Verdict>,
    requested_at: Timestamp,
    decided_at: Option<Timestamp>,
}

/// How things are at this moment.
struct Gauges {
    counts: SessionCounts,
    /// Sessions whose Claude is gone and that can be resumed, and those that are set aside.
    stopped: usize,
    paused: usize,
    oldest: Option<Timestamp>,
    spooled: usize,
    listeners: usize,
    own: Option<process::Usage>,
}

fn gauges(live: &Live) -> Gauges {
    let having = |is: fn(&SessionState) -> bool| live.sessions().filter(|s| is(&s.state)).count();
    let stopped =
        |s: &SessionState| s.status == Status::Active && s.claude_status == ClaudeStatus::Stopped;
    let requests = live.open.values().map(|open| &open.request);
    let pending = requests.filter(|r| r.status == PermissionStatus::Pending);
    Gauges {
        counts: summary::count(live),
        stopped: having(stopped),
        paused: having(|s| s.status == Status::Paused),
        oldest: pending.map(|r| r.requested_at).min(),
        spooled: 0,
        listeners: 0,
        own: None,
    }
}

/// Everything in Prometheus' text format, version 0.0.4.
pub async fn scrape(app: &App) -> Result<String, Error> {
    let mut now = app.engine.read(gauges).await?;
    // One of them is ours, which notices are made of.
    now.listeners = app.hub.listeners().saturating_sub(1);
    let folder = app.data.spool();
    let read = move || (spool::waiting(&folder), process::own_usage());
    (now.spooled, now.own) = tokio::task::spawn_blocking(read).await.unwrap_or_default();
    app.metrics.set(&now);
    let text = TextEncoder::new().encode_to_string(&app.metrics.registry.gather());
    text.map_err(|e| Error::Unavailable { problem: e.to_string() })
}
