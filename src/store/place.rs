//! Where a database is.

use std::fmt;
use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;

use super::StoreError;

/// Where a database is. Shown, it tells no password.
#[derive(Clone)]
pub enum Place {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(Box<PgConnectOptions>),
}

impl Place {
    /// Reads a URL: `sqlite:///path/to/file` or `postgres://user:password@host/database`.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(StoreError::Unfit("sqlite: names no file".into()));
            }
            return Ok(Self::Sqlite(path.into()));
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            let why = "expected sqlite:///path/to/file or postgres://user@host/database";
            return Err(StoreError::Unfit(why.into()));
        }
        // What is wrong is said without the URL, which may hold a password.
        let options = url.parse::<PgConnectOptions>();
        let options = options.map_err(|e| {
            StoreError::Unfit(format!("the PostgreSQL URL cannot be read: {}", plain(&e)))
        })?;
        Ok(Self::Postgres(Box::new(options)))
    }

    /// Whether it is a database of a PostgreSQL server.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

/// The innermost cause of an error: the wrappers around it may repeat what was given.
fn plain(e: &dyn std::error::Error) -> String {
    let mut e = e;
    while let Some(source) = e.source() {
        e = source;
    }
    e.to_string()
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Self::Postgres(o) => {
                let host = o.get_socket().map_or_else(
                    || format!("{}:{}", o.get_host(), o.get_port()),
                    |socket| socket.display().to_string(),
                );
                let database = o.get_database().unwrap_or_else(|| o.get_username());
                write!(f, "postgres://{}@{host}/{database}", o.get_username())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_password_is_never_shown() {
        let place = Place::parse("postgres://me:geheim@db.example:6543/chorus").expect("a URL");
        assert_eq!(place.to_string(), "postgres://me@db.example:6543/chorus");
        assert!(!format!("{place:?}").contains("geheim"));
        for bad in ["postgres://me:geheim@host:port/x", "postgres://me:geheim@[/x"] {
            let error = Place::parse(bad).expect_err("no URL").to_string();
            assert!(!error.contains("geheim"), "{error}");
        }
        assert_eq!(Place::parse("sqlite:///a/b").expect("a URL").to_string(), "sqlite:/a/b");
        assert!(Place::parse("mysql://me:geheim@host/x").is_err());
    }
}
