//! Templates of tasks: what is said again and again, with variables for what differs.
//!
//! A variable is written `{{name}}`, without blanks; its name has letters, digits, `_` and `-` and begins with
//! a letter or `_`. Everything else is text, `{{ name }}` and `${{ a.b }}` too. A value stands for its variable
//! exactly as it is: what looks like a variable in it is none.

use std::collections::BTreeMap;

use super::TaskOptions;
use crate::domain::ids::{ProjectId, TemplateId};
use crate::domain::reference::Wanted;
use crate::domain::time::Timestamp;

/// Bytes of a template's name, and of a variable's.
const NAME: usize = 63;
/// Variables of a template.
const VARIABLES: usize = 64;

/// What tasks are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// What people call it; no other one of the project is called so.
    pub name: String,
    /// The title of its tasks, with variables.
    pub title: String,
    /// Their description, with variables.
    pub description: String,
    /// Their priority.
    pub priority: i64,
    /// Their labels.
    pub labels: Vec<String>,
    /// Lines of documents that matter for them, as they are when a task is made.
    pub references: Vec<Wanted>,
    /// How they are started.
    pub options: TaskOptions,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Template {
    /// Its variables, in the order in which they come.
    pub fn variables(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for part in parts(&self.title).chain(parts(&self.description)) {
            if let Part::Variable(name) = part
                && !found.contains(&name)
            {
                found.push(name);
                if found.len() > VARIABLES {
                    break;
                }
            }
        }
        found
    }

    /// Checks that it has no more variables than people can fill in.
    pub fn check_variables(&self) -> Result<(), String> {
        let fine = self.variables().len() <= VARIABLES;
        fine.then_some(()).ok_or_else(|| format!("expected at most {VARIABLES} variables"))
    }
}

/// Why a pattern cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfilled {
    /// This variable has no value.
    Missing(String),
    /// What comes of it would have more bytes than it may.
    TooLong,
}

/// Checks a name: as a session's, and no id.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fine = name.bytes().next().is_some_and(plain)
        && name.bytes().all(|b| plain(b) || b == b'-')
        && name.len() <= NAME
        && name.parse::<TemplateId>().is_err();
    fine.then_some(()).ok_or_else(|| {
        format!(
            "use 1 to {NAME} lower-case letters, digits and hyphens, not beginning with a hyphen"
        )
    })
}

/// Puts the values of its variables into a pattern. What comes of it has at most so many bytes.
pub fn fill(
    pattern: &str,
    values: &BTreeMap<String, String>,
    most: usize,
) -> Result<String, Unfilled> {
    let mut filled = String::new();
    for part in parts(pattern) {
        let text = match part {
            Part::Text(text) => text,
            Part::Variable(name) => {
                values.get(name).ok_or_else(|| Unfilled::Missing(name.to_owned()))?
            }
        };
        if filled.len() + text.len() > most {
            return Err(Unfilled::TooLong);
        }
        filled.push_str(text);
    }
    Ok(filled)
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// Takes a pattern apart.
fn parts(pattern: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        if let Some(name) = variable(rest) {
            rest = &rest[name.len() + 4..];
            return Some(Part::Variable(name));
        }
        let mut braces = rest.char_indices().filter(|(_, c)| *c == '{').map(|(at, _)| at);
        let end = braces.find(|at| variable(&rest[*at..]).is_some());
        let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        (!text.is_empty()).then_some(Part::Text(text))
    })
}

/// The variable that a text begins with.
fn variable(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("{{")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let end = inside.bytes().take(NAME + 1).position(|b| !plain(b))?;
    let name = &inside[..end];
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    (begins && inside[end..].starts_with("}}")).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Part, Unfilled, check_name, fill, parts};

    fn values(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn only_what_is_written_exactly_so_is_a_variable() {
        for text in [
            "",
            "{{}}",
            "{{ a }}",
            "{{a b}}",
            "{{1a}}",
            "{{a",
            "{{a}",
            "{a}",
            "{{é}}",
            "${{ secrets.TOKEN }}",
            &format!("{{{{{}}}}}", "a".repeat(64)),
        ] {
            assert_eq!(fill(text, &BTreeMap::new(), 100), Ok(text.to_owned()));
        }
        use Part::{Text, Variable};
        let all: Vec<Part<'_>> = parts("é {{a}}{{b-2}} {{{_c}}}{{{{d").collect();
        let expected = [
            Text("é "),
            Variable("a"),
            Variable("b-2"),
            Text(" {"),
            Variable("_c"),
            Text("}{{{{d"),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn values_are_put_in_once_and_as_they_are() {
        let given = values(&[("a", "{{b}} $1 \\ {{a}}"), ("b", "x")]);
        assert_eq!(fill("{{a}}-{{b}}", &given, 100), Ok("{{b}} $1 \\ {{a}}-x".into()));
        assert_eq!(fill("{{a}} {{c}}", &given, 100), Err(Unfilled::Missing("c".into())));
        let long = values(&[("a", &"x".repeat(50))]);
        assert_eq!(fill("{{a}}{{a}}", &long, 99), Err(Unfilled::TooLong));
        assert_eq!(fill("{{a}}{{a}}", &long, 100).map(|t| t.len()), Ok(100));
    }

    #[test]
    fn names_are_checked() {
        for good in ["a", "fix-bug", "0", &"x".repeat(63)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in
            ["", "-a", "A", "a b", "é", &"x".repeat(64), "01980000-0000-7000-8000-000000000000"]
        {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_make_up_the_whole(text in "([{}a_ ]|é){0,40}") {
            let whole: String = parts(&text)
                .map(|part| match part {
                    Part::Text(text) => text.to_owned(),
                    Part::Variable(name) => format!("{{{{{name}}}}}"),
                })
                .collect();
            prop_assert_eq!(whole, text);
        }
    }
}
