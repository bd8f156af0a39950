//! Where settings come from, and how they are put together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::keys::{is_section, settings, variable};
use super::{Config, ConfigError, Loaded, Origin};
use crate::domain::scrub::scrub;
use crate::domain::usage::{Price, Usd};
use crate::store::Place;

/// The first specifications' names, used where no `CHORUS_*` name is set.
const BARE: &[&str] = &[
    "PROJECT_ROOT",
    "PORT",
    "HOST",
    "EDITOR",
    "SESSION_PREFIX",
    "POLL_INTERVAL",
    "DOCUMENT_PATTERNS",
    "STATUS_PATTERNS",
    "DATABASE_URL",
];

/// Another program's setting as often as ours: a PostgreSQL database that it names is used only if
/// it turns out to be empty or ours already.
pub(super) const BARE_DATABASE_URL: &str = "DATABASE_URL";
/// The same: if that port is busy, the next free one will do.
pub(super) const BARE_PORT: &str = "PORT";
/// The same: some shells keep the machine's own name in it.
const BARE_HOST: &str = "HOST";

/// Names in the `CHORUS_` space that are no settings: they tie a hook to its session.
const NOT_SETTINGS: &[&str] = &[
    "CHORUS_CONFIG",
    "CHORUS_URL",
    "CHORUS_SESSION",
    "CHORUS_HOOK_TOKEN",
    "CHORUS_SOCKET",
    "CHORUS_SPOOL",
    "CHORUS_GENERATION",
];

/// What the settings are put together from.
#[derive(Default)]
pub struct Sources {
    /// The file, if it is named; else the usual places are tried.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Flags: setting and value.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// This process's environment, and flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        Self { file, env: std::env::vars().collect(), flags }
    }

    /// Puts the settings together.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        let mut loader = Loader::new();
        if let Some(path) = self.file_to_read() {
            loader.file(&path)?;
        }
        for (name, (key, text)) in loader.known_in(&self.env) {
            if may_be_anothers(&name) && !is_usable(&key, &text) {
                loader.leave_alone(&name);
            } else {
                loader.text(&key, &text, Origin::Environment(name))?;
            }
        }
        for (key, value) in &self.flags {
            loader.text(key, value, Origin::Flag(key.replace('_', "-")))?;
        }
        loader.finish(&self.env)
    }

    fn file_to_read(&self) -> Option<PathBuf> {
        if let Some(named) =
            self.file.clone().or_else(|| self.env.get("CHORUS_CONFIG").map(PathBuf::from))
        {
            return Some(named);
        }
        let home = self.env.get("HOME").map(PathBuf::from);
        let config =
            self.env.get("XDG_CONFIG_HOME").map(PathBuf::from).or(home.map(|h| h.join(".config")));
        let places =
            [Some(PathBuf::from("chorus.toml")), config.map(|c| c.join("chorus/chorus.toml"))];
        places.into_iter().flatten().find(|p| p.is_file())
    }
}

struct Loader {
    table: Table,
    origins: BTreeMap<String, Origin>,
    warnings: Vec<String>,
}

impl Loader {
    fn new() -> Self {
        // The defaults are our own and have no value that TOML lacks.
        let table = Table::try_from(Config::default()).unwrap_or_default();
        let origins = settings(&table).map(|k| (k, Origin::Default)).collect();
        Self { table, origins, warnings: Vec::new() }
    }

    /// A setting's present value.
    fn value(&self, key: &str) -> Option<&Value> {
        match key.split_once('.') {
            Some((section, key)) => self.table.get(section)?.get(key),
            None => self.table.get(key),
        }
    }

    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        // What TOML says about a line shows the line, and there may be a password on it.
        let unreadable = |error: String| ConfigError::Unreadable {
            path: path.to_owned(),
            error: scrub(&error).into_owned(),
        };
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        let file: Table = text.parse().map_err(|e: toml::de::Error| unreadable(e.to_string()))?;
        for (key, value) in file {
            let origin = Origin::File(path.to_owned());
            match value {
                Value::Table(inner) if is_section(self.table.get(&key)) => {
                    for (name, value) in inner {
                        self.set(&format!("{key}.{name}"), value, origin.clone())?;
                    }
                }
                value => self.set(&key, value, origin)?,
            }
        }
        Ok(())
    }

    /// The settings that the environment holds: variable, (setting, text).
    fn known_in(&mut self, env: &BTreeMap<String, String>) -> Vec<(String, (String, String))> {
        let mut found = Vec::new();
        let keys: Vec<String> = settings(&self.table).collect();
        for key in &keys {
            let upper = variable(key);
            let ours = format!("CHORUS_{upper}");
            let bare = BARE.contains(&upper.as_str()).then_some(upper);
            let name = [Some(ours), bare].into_iter().flatten().find(|n| env.contains_key(n));
            if let Some(name) = name {
                let text = env[&name].clone();
                found.push((name, (key.clone(), text)));
            }
        }
        for name in env.keys().filter(|n| n.starts_with("CHORUS_")) {
            if !keys.iter().any(|key| variable(key) == name["CHORUS_".len()..])
                && !NOT_SETTINGS.contains(&name.as_str())
                && !name.starts_with("CHORUS_TEST")
                // What a notice's own program is told.
                && !name.starts_with("CHORUS_NOTICE_")
            {
                self.warnings.push(format!("${name} is no setting of Chorus's and has no effect"));
            }
        }
        found
    }

    /// A variable is taken for another program's.
    fn leave_alone(&mut self, name: &str) {
        self.warnings.push(format!(
            "${name} is left alone, as it cannot be used and may be another program's; what is meant for Chorus goes by CHORUS_{name}"
        ));
    }

    /// Reads a value from text as the setting's type wants it.
    fn text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let unusable = |problem: &str| ConfigError::Unusable {
            key: key.to_owned(),
            origin: origin.clone(),
            problem: format!("{problem}, not {text:?}"),
        };
        let value = match self.value(key) {
            Some(Value::Integer(_)) => Value::Integer(
                text.trim().parse().map_err(|_| unusable("expected a whole number"))?,
            ),
            Some(Value::Float(_)) => {
                Value::Float(text.trim().parse().map_err(|_| unusable("expected a number"))?)
            }
            Some(Value::Boolean(_)) => Value::Boolean(match text.trim() {
                "1" | "true" | "yes" | "on" => true,
                "0" | "false" | "no" | "off" => false,
                _ => return Err(unusable("expected true or false")),
            }),
            Some(Value::Array(_)) if text.trim_start().starts_with('[') => {
                inline(text).ok_or_else(|| unusable("expected a list"))?
            }
            Some(Value::Array(_)) => Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|t| !t.is_empty())
                    .map(|t| Value::String(t.into()))
                    .collect(),
            ),
            Some(Value::Table(_)) => inline(text)
                .ok_or_else(|| unusable("expected a table such as { idle = [\"…\"] }"))?,
            _ => Value::String(text.to_owned()),
        };
        self.set(key, value, origin)
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        let (section, name) = match key.split_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, key),
        };
        let mut one = Table::from_iter([(name.to_owned(), value.clone())]);
        if let Some(section) = section {
            one = Table::from_iter([(section.to_owned(), Value::Table(one))]);
        }
        if let Err(e) = one.try_into::<Config>() {
            let problem = e.message().to_owned();
            return Err(ConfigError::Unusable { key: key.to_owned(), origin, problem });
        }
        match section.and_then(|section| self.table.get_mut(section)) {
            Some(Value::Table(inner)) => inner.insert(name.to_owned(), value),
            _ => self.table.insert(key.to_owned(), value),
        };
        self.origins.insert(key.to_owned(), origin);
        Ok(())
    }

    fn finish(self, env: &BTreeMap<String, String>) -> Result<Loaded, ConfigError> {
        let origins = self.origins;
        let mut config: Config =
            self.table.try_into().map_err(|e: toml::de::Error| ConfigError::Unusable {
                key: "chorus.toml".into(),
                origin: Origin::Default,
                problem: e.message().to_owned(),
            })?;
        let check = |key: &str, ok: bool, problem: &str| {
            if ok {
                return Ok(());
            }
            let origin = origins.get(key).cloned().unwrap_or(Origin::Default);
            Err(ConfigError::Unusable { key: key.into(), origin, problem: problem.into() })
        };
        check(
            "poll_interval",
            config.poll_interval >= 0.1 && config.poll_interval <= 3600.0,
            "expected 0.1 to 3600 seconds",
        )?;
        for (key, seconds, least) in
            [("quiet_after", config.quiet_after, 1.0), ("limit_retry", config.limit_retry, 0.0)]
        {
            let expected = format!("expected {least} to 86400 seconds");
            check(key, seconds >= least && seconds <= 86_400.0, &expected)?;
        }
        check(
            "permission_expiry",
            (1..=86_400).contains(&config.permission_expiry),
            "expected 1 to 86400 seconds",
        )?;
        check("budget_usd", Usd::from_dollars(config.budget_usd).is_some(), "expected 0 or more")?;
        let fit = |p: &Price| {
            let all = [p.input, p.output, p.cache_write, p.cache_write_1h, p.cache_read];
            all.iter().all(|price| (0.0..=1e6).contains(price))
        };
        check("prices", config.prices.values().all(fit), "expected 0 to 1000000 dollars")?;
        for (key, ok, problem) in config.notify.checks() {
            check(key, ok, problem)?;
        }
        check("starts_at_once", config.starts_at_once >= 1, "expected 1 or more")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let prefix = &config.session_prefix;
        check(
            "session_prefix",
            !prefix.is_empty() && prefix.len() <= 32 && prefix.chars().all(plain),
            "expected 1 to 32 letters, digits, - or _",
        )?;
        check(
            "host",
            is_loopback(&config.host),
            "auth = \"local\" listens on loopback only (127.0.0.1, ::1, localhost)",
        )?;
        let url = config.database_url.exposed();
        let place = if url.is_empty() { Ok(()) } else { Place::parse(url).map(drop) };
        if let Err(e) = place {
            check("database_url", false, &e.to_string())?;
        }
        if config.data_dir.as_os_str().is_empty() {
            config.data_dir = default_data_dir(env);
        }
        Ok(Loaded { config, origins, warnings: self.warnings })
    }
}

/// Whether a variable is another program's as often as ours.
fn may_be_anothers(name: &str) -> bool {
    [BARE_DATABASE_URL, BARE_HOST, BARE_PORT].contains(&name)
}

/// Whether one of these could be meant for us.
fn is_usable(key: &str, text: &str) -> bool {
    match key {
        "database_url" => Place::parse(text).is_ok(),
        "host" => is_loopback(text),
        "port" => text.trim().parse::<u16>().is_ok(),
        _ => true,
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn inline(text: &str) -> Option<Value> {
    let mut table: Table = format!("v = {text}").parse().ok()?;
    table.remove("v")
}

fn default_data_dir(env: &BTreeMap<String, String>) -> PathBuf {
    let set = |name: &str| env.get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|h| h.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("."))
        .join("chorus")
}
