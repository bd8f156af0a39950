//! The names of settings: those in a table of the file are `table.setting`.

use toml::{Table, Value};

/// Whether a value of the defaults is a table of settings, and no setting that is a table.
pub(super) fn is_section(default: Option<&Value>) -> bool {
    matches!(default, Some(Value::Table(inner)) if !inner.is_empty())
}

/// All settings of the defaults; those in a table as `table.setting`.
pub(super) fn settings(defaults: &Table) -> impl Iterator<Item = String> {
    defaults.iter().flat_map(|(key, value)| match value {
        Value::Table(inner) if is_section(Some(value)) => {
            inner.keys().map(|name| format!("{key}.{name}")).collect()
        }
        _ => vec![key.clone()],
    })
}

/// A setting's name in the environment, without `CHORUS_`.
pub(super) fn variable(key: &str) -> String {
    key.to_uppercase().replace('.', "_")
}
