//! The database's URL: shown, it tells no password.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// Where the database is. Whatever shows or writes it leaves out the password.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with everything in it.
    pub fn exposed(&self) -> &str {
        &self.0
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shown(&self) -> String {
        // A password may hold a question mark, so the query is looked for after it.
        let host = self.0.rfind('@').unwrap_or(0);
        let (before, query) = match self.0[host..].find('?') {
            Some(at) => (&self.0[..host + at], Some(&self.0[host + at + 1..])),
            None => (self.0.as_str(), None),
        };
        let mut shown = without_password(before);
        for (n, pair) in query.into_iter().flat_map(|q| q.split('&')).enumerate() {
            shown.push(if n == 0 { '?' } else { '&' });
            match pair.split_once('=') {
                Some((name, _)) if name.to_lowercase().contains("pass") => {
                    shown.push_str(&format!("{name}=***"));
                }
                _ => shown.push_str(pair),
            }
        }
        shown
    }
}

/// `scheme://user:password@rest` without the password. A password may hold any of these characters,
/// so it ends at the last `@`.
fn without_password(url: &str) -> String {
    let split = || {
        let (scheme, rest) = url.split_once("://")?;
        let (user, host) = rest.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}"))
    };
    split().unwrap_or_else(|| url.to_owned())
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::DatabaseUrl;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("", ""),
            ("sqlite:///a/b.db", "sqlite:///a/b.db"),
            ("postgres://me@host/db", "postgres://me@host/db"),
            (
                "postgres://me:geheim@host:1/db?sslmode=require",
                "postgres://me:***@host:1/db?sslmode=require",
            ),
            ("postgres://me:ge@he/im@host/db", "postgres://me:***@host/db"),
            ("postgres:///db?user=me&password=geheim&x", "postgres:///db?user=me&password=***&x"),
            ("postgres:///db?sslpassword=geheim", "postgres:///db?sslpassword=***"),
            ("postgres://me:ge?he@host/db?password=im", "postgres://me:***@host/db?password=***"),
        ] {
            let url = DatabaseUrl::from(url);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("{shown:?}"));
            assert_eq!(serde_json::to_value(&url).expect("JSON"), shown);
        }
    }
}
