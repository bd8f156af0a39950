//! Configuration: defaults, then `chorus.toml`, then the environment, then flags.
//!
//! Every value remembers where it came from; `chorus config` shows it.

mod data_dir;
mod database;
mod keys;
mod notify;
mod sources;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::data_dir::DataDir;
pub use self::database::DatabaseUrl;
pub use self::notify::Notify;
pub use self::sources::Sources;
use self::sources::{BARE_DATABASE_URL, BARE_PORT};
use crate::domain::usage::{Price, Usd};
use crate::store::{Place, Synchronous};

/// All settings. The names are those of `chorus.toml`; in the environment they are upper-case
/// with `CHORUS_` before them, and with `_` for the dot of one in a table (`notify.desktop`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to listen on: loopback only, as there are no keys yet.
    pub host: String,
    /// The port to listen on. If it is busy and was not chosen by you, the next free one.
    pub port: u16,
    /// Where database, socket, spool and logs are. `$XDG_DATA_HOME/chorus` if empty.
    pub data_dir: PathBuf,
    /// The default project's root. The directory the server is started in, if empty.
    pub project_root: PathBuf,
    /// The first part of tmux session names.
    pub session_prefix: String,
    /// Seconds between two sweeps that repair what no event told.
    pub poll_interval: f64,
    /// Seconds after which a permission request that nobody has decided expires: Chorus has no
    /// opinion then, and Claude's own dialog stays. At most a day, for which Claude Code waits.
    pub permission_expiry: u32,
    /// The database, by `sqlite:///path/to/file` or `postgres://user:password@host/database`; the
    /// SQLite file in `data_dir` if empty.
    pub database_url: DatabaseUrl,
    /// What a commit survives on SQLite: `normal` any death of the process, `full` a power loss
    /// too.
    pub synchronous: Synchronous,
    /// Who may use the API: `local` is processes of the same user on this machine.
    pub auth: Auth,
    /// Further values of the `Host` header that are ours.
    pub allowed_hosts: Vec<String>,
    /// The editor for documents.
    pub editor: String,
    /// Which files are documents.
    pub document_patterns: Vec<String>,
    /// Further texts on Claude's screen that tell its state, for each state.
    pub status_patterns: BTreeMap<String, Vec<String>>,
    /// The Claude Code program.
    pub claude: PathBuf,
    /// The tmux program.
    pub tmux: PathBuf,
    /// What is logged, as `tracing` filters.
    pub log: String,
    /// The file that the log goes to, set aside at 10 MB, the last four of these kept; stderr if
    /// empty.
    pub log_file: PathBuf,
    /// Panes get the environment of a login shell; else the server's own.
    pub login_shell: bool,
    /// Starts of Claude at the same time.
    pub starts_at_once: usize,
    /// Sessions whose Claude runs at the same time, beyond which tasks wait in the queue; 0 is any number.
    pub max_sessions: u32,
    /// Gives the next task that is ready to a session of its project that is idle and works on no task.
    pub auto_assign: bool,
    /// Seconds after which a busy Claude that nothing is heard of is shown as quiet.
    pub quiet_after: f64,
    /// Seconds to wait for a usage limit whose end Claude Code does not tell; each time in a row
    /// twice as long, up to an hour. 0 waits for none of these.
    pub limit_retry: f64,
    /// Hooks that a session may send each second, five seconds' worth of them at once; more go by
    /// the spool. 0 is no limit.
    pub hook_rate: u32,
    /// Days for which sessions that have ended are kept, with their record; 0 is for ever.
    pub keep_sessions_days: u32,
    /// Days for which the whole text of results over 50 KB is kept; 0 is as long as the session.
    pub keep_outputs_days: u32,
    /// Days for which the log of events is kept; 0 is for ever. Messages, calls and decisions have
    /// their own rows.
    pub keep_events_days: u32,
    /// Megabytes beyond which the sessions that ended first are forgotten (SQLite); 0 is no limit.
    pub keep_database_mb: u32,
    /// What a session may cost unless it is told otherwise, in US dollars; 0 is any sum.
    pub budget_usd: f64,
    /// Claude Code is asked to tell what its requests cost, unless its user has set up its telemetry. If
    /// not, costs are estimated.
    pub claude_telemetry: bool,
    /// Prices by model, in US dollars for a million tokens (`input`, `output`, `cache_write`,
    /// `cache_write_1h`, `cache_read`). They go before the built-in list when a cost is estimated.
    pub prices: BTreeMap<String, Price>,
    /// What people are told of without looking, and how.
    pub notify: Notify,
}

impl Config {
    /// What a session may cost unless it is told otherwise.
    pub fn budget(&self) -> Option<Usd> {
        Usd::from_dollars(self.budget_usd).filter(|usd| usd.0 > 0)
    }
}

/// Who may use the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Processes of the same user on this machine, without any key.
    #[default]
    Local,
}

impl Default for Config {
    fn default() -> Self {
        let patterns =
            ["*.md", "docs/**/*.md", ".claude/**/*.md", "plans/**/*.md", "specs/**/*.md"];
        Self {
            host: "127.0.0.1".into(),
            port: 8000,
            data_dir: PathBuf::new(),
            project_root: PathBuf::new(),
            session_prefix: "claude".into(),
            poll_interval: 10.0,
            permission_expiry: 86_400,
            database_url: DatabaseUrl::default(),
            synchronous: Synchronous::Normal,
            auth: Auth::Local,
            allowed_hosts: Vec::new(),
            editor: "vim".into(),
            document_patterns: patterns.map(str::to_owned).to_vec(),
            status_patterns: BTreeMap::new(),
            claude: "claude".into(),
            tmux: "tmux".into(),
            log: "info".into(),
            log_file: PathBuf::new(),
            login_shell: true,
            starts_at_once: 2,
            max_sessions: 0,
            auto_assign: false,
            quiet_after: 600.0,
            limit_retry: 900.0,
            hook_rate: 2_000,
            keep_sessions_days: 0,
            keep_outputs_days: 0,
            keep_events_days: 30,
            keep_database_mb: 0,
            budget_usd: 0.0,
            claude_telemetry: true,
            prices: BTreeMap::new(),
            notify: Notify::default(),
        }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of this file.
    File(PathBuf),
    /// This environment variable.
    Environment(String),
    /// This flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// The settings together with their origins.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Where each came from.
    pub origins: BTreeMap<String, Origin>,
    /// What was left out of account, and why.
    pub warnings: Vec<String>,
}

/// A setting, as people are shown it: secrets are covered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Setting {
    /// Its name, `table.key` for one in a table.
    pub name: String,
    /// Its value.
    pub value: serde_json::Value,
    /// Where the value came from: `default`, a file, `$VARIABLE` or `--flag`.
    pub origin: String,
}

impl Loaded {
    /// All settings with their origins, by name.
    pub fn settings(&self) -> Vec<Setting> {
        let whole = serde_json::to_value(&self.config).unwrap_or_default();
        // A setting in a table goes by the name that its origin has: `notify.desktop`.
        let value = |name: &str| whole.pointer(&format!("/{}", name.replace('.', "/"))).cloned();
        self.origins
            .iter()
            .map(|(name, origin)| Setting {
                name: name.clone(),
                value: value(name).unwrap_or_default(),
                origin: origin.to_string(),
            })
            .collect()
    }

    /// Whether no other port will do: it was chosen, and not by a variable that other programs use too.
    pub fn port_is_fixed(&self) -> bool {
        let bare = Origin::Environment(BARE_PORT.to_owned());
        self.origins.get("port").is_some_and(|o| *o != Origin::Default && *o != bare)
    }

    /// Where the database is.
    pub fn place(&self) -> Place {
        // A URL was looked at when the settings were put together: only none at all leads nowhere.
        Place::parse(self.config.database_url.exposed()).unwrap_or_else(|_| self.own_place())
    }

    /// Where the database is if nothing else is said.
    pub fn own_place(&self) -> Place {
        Place::Sqlite(DataDir(self.config.data_dir.clone()).database())
    }

    /// Whether the database was named by a variable that other programs use too.
    pub fn place_may_be_anothers(&self) -> bool {
        self.origins.get("database_url") == Some(&Origin::Environment(BARE_DATABASE_URL.to_owned()))
    }
}

/// A value that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// A setting has a value it cannot have, or there is no such setting.
    #[error("{key} (from {origin}) is not usable: {problem}")]
    Unusable {
        /// Which setting.
        key: String,
        /// Where it came from.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
}

#[cfg(test)]
mod tests;
