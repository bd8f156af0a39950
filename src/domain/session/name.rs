//! Session names.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A session's name: safe in a tmux target, a file name, a URL and a branch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
pub struct SessionName(String);

/// No session's name: at its place in the API is something else.
const RESERVED: &str = "import";

impl SessionName {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let mut bytes = name.bytes();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ok = bytes.next().is_some_and(plain) && bytes.all(|b| plain(b) || b == b'-');
        if ok && name.len() <= 63 && name != RESERVED {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadName)
        }
    }

    /// Makes a name out of any text, such as a prompt: its first words.
    pub fn from_text(text: &str) -> Option<Self> {
        let words: String = text
            .chars()
            .take(400)
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' })
            .collect();
        let mut name = String::new();
        for word in words.split_whitespace().take(5) {
            if name.len() + word.len() > 40 {
                break;
            }
            if !name.is_empty() {
                name.push('-');
            }
            name.push_str(word);
        }
        Self::new(&name).ok()
    }

    /// The name for a session about which nothing is known yet.
    pub fn fallback() -> Self {
        Self("session".to_owned())
    }

    /// The name with a number after it, for when it is taken.
    pub fn numbered(&self, n: u32) -> Self {
        let stem: String = self.0.chars().take(56).collect();
        Self(format!("{}-{n}", stem.trim_end_matches('-')))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not a session name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "use 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen; `import` is taken"
)]
pub struct BadName;

impl TryFrom<String> for SessionName {
    type Error = BadName;
    fn try_from(name: String) -> Result<Self, BadName> {
        Self::new(&name)
    }
}

impl From<SessionName> for String {
    fn from(name: SessionName) -> String {
        name.0
    }
}

impl std::fmt::Display for SessionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadName, SessionName};

    #[test]
    fn names_are_checked() {
        for good in ["a", "0", "feature-auth", &"x".repeat(63)] {
            assert!(SessionName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "a.b", "a:b", "é", &"x".repeat(64), "a\n", "$(x)"] {
            assert_eq!(SessionName::new(bad), Err(BadName), "{bad:?}");
        }
    }

    #[test]
    fn names_are_made_of_text() {
        let name = |t| SessionName::from_text(t).map(|n| n.as_str().to_owned());
        assert_eq!(name("Fix the flaky test!"), Some("fix-the-flaky-test".into()));
        assert_eq!(name("¿¡"), None);
        let long = SessionName::new(&"x".repeat(63)).expect("a name").numbered(2);
        assert!(SessionName::new(long.as_str()).is_ok());
    }
}
