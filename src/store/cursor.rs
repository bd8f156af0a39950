//! Keyset pagination: a page begins after the last row of the one before, wherever rows were added
//! in the meantime.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::document::LONGEST_PATH;

/// The longest tie-breaker: a document's path in hexadecimal, and its id.
const LONGEST: usize = 2 * LONGEST_PATH + 32;

/// The place of a row in a list that is ordered by a number and an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The ordering number (a time in milliseconds, or an id).
    pub at: i64,
    /// The tie-breaker.
    pub id: String,
}

/// A cursor that none of our answers held.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list: take it from the `Link` header of the page before")]
pub struct BadCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(s: &str) -> Result<Self, BadCursor> {
        let (at, id) = s.split_once('_').ok_or(BadCursor)?;
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if id.is_empty() || id.len() > LONGEST || !id.chars().all(known) {
            return Err(BadCursor);
        }
        Ok(Self { at: at.parse().map_err(|_| BadCursor)?, id: id.to_owned() })
    }
}

/// Which end of a list comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// What came first.
    #[default]
    Oldest,
    /// What came last.
    Newest,
}

impl Order {
    /// Where a list begins in this order.
    pub(super) fn start(self) -> i64 {
        match self {
            Self::Oldest => i64::MIN,
            Self::Newest => i64::MAX,
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of at most `limit` rows out of rows that were read with `limit + 1`.
    pub(super) fn of(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadCursor, Cursor};

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let c = Cursor { at: -5, id: "a-1".into() };
        assert_eq!(c.to_string().parse(), Ok(c));
        for bad in ["", "_", "1_", "x_a", "1_a b", "1_'"] {
            assert_eq!(bad.parse::<Cursor>(), Err(BadCursor), "{bad:?}");
        }
    }
}
