//! Reading a [`Script`] from JSON, with errors that name the place.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Script, Turn};

/// The name of a scenario given as a bare list, and the preferred default.
const DEFAULT: &str = "default";

/// Why a script could not be read; its text is meant for the author of the script.
#[derive(Debug)]
pub struct ScriptError(serde_json::Error);

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the script cannot be read: {}", self.0)
    }
}

impl std::error::Error for ScriptError {}

pub(super) fn from_json(json: &str) -> Result<Script, ScriptError> {
    serde_json::from_str(json).map_err(ScriptError)
}

impl<'de> Deserialize<'de> for Script {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScriptVisitor)
    }
}

/// Takes both shapes. An untagged enum would too, but it answers every mistake with
/// "did not match any variant".
struct ScriptVisitor;

impl<'de> Visitor<'de> for ScriptVisitor {
    type Value = Script;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `scenarios`, or a list of turns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, turns: A) -> Result<Script, A::Error> {
        let turns = Vec::<Turn>::deserialize(SeqAccessDeserializer::new(turns))?;
        checked(None, Scenarios(vec![(DEFAULT.to_owned(), turns)]))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Script, A::Error> {
        let file = ScriptFile::deserialize(MapAccessDeserializer::new(fields))?;
        checked(file.default, file.scenarios)
    }
}

/// A script as written: its scenarios still in the order of the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptFile {
    default: Option<String>,
    scenarios: Scenarios,
}

struct Scenarios(Vec<(String, Vec<Turn>)>);

impl<'de> Deserialize<'de> for Scenarios {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ScenariosVisitor)
    }
}

struct ScenariosVisitor;

impl<'de> Visitor<'de> for ScenariosVisitor {
    type Value = Scenarios;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object: scenario name to list of turns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Scenarios, A::Error> {
        let mut scenarios = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            let turns = entries
                .next_value()
                .map_err(|error| A::Error::custom(format_args!("scenario `{name}`: {error}")))?;
            scenarios.push((name, turns));
        }
        Ok(Scenarios(scenarios))
    }
}

/// Turns what was read into a script, refusing what could never work as meant.
fn checked<E: Error>(default: Option<String>, Scenarios(list): Scenarios) -> Result<Script, E> {
    let first = list.first().map(|(name, _)| name.clone());
    let mut scenarios = BTreeMap::new();
    for (name, turns) in list {
        check_name(&name).map_err(E::custom)?;
        for (index, turn) in turns.iter().enumerate() {
            check_turn(turn).map_err(|problem| {
                E::custom(format_args!("scenario `{name}`, turn {}: {problem}", index + 1))
            })?;
        }
        if scenarios.insert(name.clone(), turns).is_some() {
            return Err(E::custom(format_args!("scenario `{name}` is there twice")));
        }
    }
    let default = default
        .or_else(|| scenarios.contains_key(DEFAULT).then(|| DEFAULT.to_owned()))
        .or(first)
        .ok_or_else(|| E::custom("there is no scenario"))?;
    if !scenarios.contains_key(&default) {
        return Err(E::custom(format_args!("the default `{default}` is not one of the scenarios")));
    }
    Ok(Script { default, scenarios })
}

/// A name outside this alphabet could never be named in a prompt.
fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!(
            "scenario name `{name}`: only A-Z, a-z, 0-9, `_` and `-` can be named in a prompt"
        ));
    }
    Ok(())
}

fn check_turn(turn: &Turn) -> Result<(), String> {
    if let Some(status) = turn.status {
        if !(400..=599).contains(&status) {
            return Err(format!("`status` {status} is not an error (400 to 599)"));
        }
    } else {
        for (field, given) in [
            ("times", turn.times.is_some()),
            ("error_type", turn.error_type.is_some()),
            ("error_message", turn.error_message.is_some()),
            ("retry_after", turn.retry_after.is_some()),
        ] {
            if given {
                return Err(format!("`{field}` has no effect without `status`"));
            }
        }
    }
    if turn.cut && turn.broken {
        return Err("`cut` and `broken` are two different ends".to_owned());
    }
    if turn.retry_after.is_some_and(|seconds| seconds < 0.0) {
        return Err("`retry_after` is negative".to_owned());
    }
    if let Some((name, _)) = turn.usage.iter().find(|(_, count)| count.is_string()) {
        return Err(format!("`usage.{name}` is a string, not a number"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Repetition, Script};

    fn error(json: &str) -> String {
        Script::from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn a_bare_list_is_the_default_scenario() {
        let script = Script::from_json(r#"[{"text": "a"}, {"text": "b"}]"#).unwrap();
        assert_eq!(script.default_name(), "default");
        assert_eq!(script.scenario("default").unwrap().len(), 2);
    }

    #[test]
    fn the_default_is_named_or_called_default_or_first_in_the_file() {
        let name = |json: &str| Script::from_json(json).unwrap().default_name().to_owned();
        assert_eq!(name(r#"{"default":"a","scenarios":{"b":[],"a":[],"default":[]}}"#), "a");
        assert_eq!(name(r#"{"scenarios":{"b":[],"default":[]}}"#), "default");
        assert_eq!(name(r#"{"scenarios":{"b":[],"a":[]}}"#), "b");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let unknown = error("{\"scenarios\": {\"a\": [\n  {\"txt\": \"oops\"}]}}");
        assert!(unknown.contains("scenario `a`"), "{unknown}");
        assert!(unknown.contains("unknown field `txt`"), "{unknown}");
        assert!(unknown.contains("line 2"), "{unknown}");

        let times = error(r#"{"scenarios": {"a": [{}, {"times": 2}]}}"#);
        assert!(times.contains("scenario `a`, turn 2"), "{times}");
        assert!(times.contains("`status`"), "{times}");

        assert!(error(r#"{"default":"x","scenarios":{"a":[]}}"#).contains("`x`"));
        assert!(error(r#"{"scenarios":{}}"#).contains("no scenario"));
        assert!(error(r#"{"scenarios":{"a":[],"a":[]}}"#).contains("twice"));
        assert!(error(r#"{"scenarios":{"a b":[]}}"#).contains("`a b`"));
        assert!(error(r#"{"scenario":{}}"#).contains("unknown field `scenario`"));
        assert!(error(r#"[{"status": 200}]"#).contains("200"));
        assert!(error(r#"[{"cut": true, "broken": true}]"#).contains("`broken`"));
        assert!(error(r#"[{"repeat": 0}]"#).contains("nonzero"));
        assert!(error("7").contains("list of turns"));
    }

    #[test]
    fn a_repeated_turn_counts_as_many() {
        let script = Script::from_json(r#"[{"text": "a", "repeat": 3}, {"text": "b"}]"#).unwrap();
        let at = |index| {
            script
                .turn_at("default", index)
                .map(|(turn, repetition)| (turn.text.clone().unwrap(), repetition))
        };
        assert_eq!(at(0), Some(("a".into(), Repetition { number: 1, of: 3 })));
        assert_eq!(at(2), Some(("a".into(), Repetition { number: 3, of: 3 })));
        assert_eq!(at(3), Some(("b".into(), Repetition { number: 1, of: 1 })));
        assert_eq!(at(4), None);
        assert_eq!(at(usize::MAX), None);
    }

    #[test]
    fn the_bundled_script_has_its_promised_scenarios() {
        let script = Script::standard();
        assert_eq!(script.default_name(), "hello");
        for name in ["hello", "bash", "slow", "plan", "agent", "hang", "cut", "rate"] {
            assert!(script.scenario(name).is_some(), "{name}");
        }
        assert!(script.turn_at("fifty", 50).is_some());
        assert!(script.turn_at("fifty", 51).is_none());
    }

    #[test]
    fn another_script_adds_and_replaces_scenarios() {
        let script = Script::standard()
            .extended_with(Script::from_json(r#"{"scenarios":{"hello":[],"new":[]}}"#).unwrap());
        assert_eq!(script.default_name(), "hello");
        assert_eq!(script.scenario("hello").unwrap().len(), 0);
        assert!(script.names().any(|name| name == "new"));
    }
}
