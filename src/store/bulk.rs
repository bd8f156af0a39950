//! Statements for several rows at once.
//!
//! What a statement costs is mostly the way to the database and back (on SQLite: to the
//! connection's thread), so a group's rows of one table go together. A statement has a fixed number
//! of rows, so that it stays prepared: each is there in some sizes, and rows are split to fit.

use std::iter;

/// How many rows a statement takes at most. Beyond that little is gained.
const ROWS: usize = 64;
/// How many parameters it has at most: binding them takes SQLite a time that grows with the square.
const PARAMETERS: usize = 192;

/// A statement with `VALUES`, in all its sizes: the number of rows and the text, the largest first.
pub(super) struct Bulk {
    sized: Vec<(usize, String)>,
}

impl Bulk {
    /// Makes an `INSERT` of what is before the rows, the number of columns, and what is after the
    /// rows.
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        Self::with(head, columns, |_| String::new(), tail)
    }

    /// The same with one column more, which is made of the others: `made` is told the parameter of
    /// the row's first column. Nothing is added if it makes nothing.
    pub(super) fn with(
        head: &str,
        columns: usize,
        made: impl Fn(usize) -> String,
        tail: &str,
    ) -> Self {
        let value = |c: usize, n: usize| {
            let made = if c + 1 == columns { made(n + 1 - columns) } else { String::new() };
            if made.is_empty() { format!("${n}") } else { format!("${n}, {made}") }
        };
        Self::of(head, columns, value, tail)
    }

    /// Makes an `UPDATE` of what is set and where. The rows are `v`; its columns are `column1` and
    /// so on, as both databases call them, of these types, which PostgreSQL cannot tell by itself.
    pub(super) fn update(set: &str, types: &[&str], on: &str) -> Self {
        let cast = |column: usize, n: usize| format!("CAST(${n} AS {})", types[column]);
        Self::of(&format!("{set} FROM ("), types.len(), cast, &format!(") AS v {on}"))
    }

    /// Makes a `SELECT` of a table's rows that have one of some pairs of texts in two columns. The
    /// pairs come first in the join, so that the table is looked up by them.
    pub(super) fn select(what: &str, table: &str, [first, second]: [&str; 2]) -> Self {
        let text = |_, n: usize| format!("CAST(${n} AS TEXT)");
        let on = format!("CROSS JOIN {table} WHERE {first} = v.column1 AND {second} = v.column2");
        Self::of(&format!("SELECT {what} FROM ("), 2, text, &format!(") AS v {on}"))
    }

    fn of(head: &str, columns: usize, value: impl Fn(usize, usize) -> String, tail: &str) -> Self {
        let row = |r: usize| {
            let values = (0..columns).map(|c| value(c, r * columns + c + 1));
            format!("({})", values.collect::<Vec<_>>().join(", "))
        };
        let sizes = iter::successors(Some(ROWS), |rows| (*rows > 1).then_some(rows / 2));
        let sized = sizes.filter(|rows| *rows == 1 || rows * columns <= PARAMETERS).map(|rows| {
            let values = (0..rows).map(row).collect::<Vec<_>>().join(", ");
            (rows, format!("{head} VALUES {values} {tail}"))
        });
        Self { sized: sized.collect() }
    }

    /// Splits rows into parts, in order, each with the statement that takes it.
    pub(super) fn parts<'r, T>(
        &'static self,
        mut rows: &'r [T],
    ) -> impl Iterator<Item = (&'static str, &'r [T])> {
        iter::from_fn(move || {
            let (size, sql) = self.sized.iter().find(|(size, _)| *size <= rows.len())?;
            let (part, rest) = rows.split_at(*size);
            rows = rest;
            Some((sql.as_str(), part))
        })
    }

    /// Every size, for the test that prepares them all.
    #[cfg(test)]
    pub(super) fn statements(&'static self) -> impl Iterator<Item = &'static str> {
        self.sized.iter().map(|(_, sql)| sql.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::Bulk;

    static BULK: LazyLock<Bulk> = LazyLock::new(|| Bulk::new("INSERT INTO t (a, b)", 2, "X"));

    #[test]
    fn rows_are_split_in_order() {
        let rows: Vec<u32> = (0..103).collect();
        let parts: Vec<_> = BULK.parts(&rows).collect();
        let sizes: Vec<usize> = parts.iter().map(|(_, part)| part.len()).collect();
        assert_eq!(sizes, [64, 32, 4, 2, 1]);
        assert_eq!(
            parts.iter().flat_map(|(_, part)| part.iter().copied()).collect::<Vec<_>>(),
            rows
        );
        assert_eq!(parts[3].0, "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) X");
        assert_eq!(BULK.parts(&rows[..0]).count(), 0);
    }

    #[test]
    fn no_statement_has_too_many_parameters() {
        let largest = |columns| Bulk::new("INSERT INTO t (…)", columns, "").sized[0].0;
        assert_eq!([2, 5, 12, 500].map(largest), [64, 32, 16, 1]);
    }

    #[test]
    fn an_update_tells_the_types_of_its_rows() {
        let update = Bulk::update("UPDATE t SET a = v.column2", &["TEXT", "BIGINT"], "WHERE b");
        assert_eq!(
            update.sized[update.sized.len() - 2].1,
            "UPDATE t SET a = v.column2 FROM ( VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT)), \
             (CAST($3 AS TEXT), CAST($4 AS BIGINT)) ) AS v WHERE b"
        );
    }
}
