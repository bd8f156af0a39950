//! Statements for several rows at once.
//!
//! What a statement costs is mostly the way to the database and back (on SQLite: to the
//! connection's thread), so a group's rows of one table go together. A statement has a fixed number
//! of rows, so that it stays prepared: each is there in some sizes, and rows are split to fit.

use std::iter;

use super::Tx;

/// How many rows a statement takes. Any number up to the largest needs two at most.
const SIZES: [usize; 12] = [32, 24, 16, 12, 8, 7, 6, 5, 4, 3, 2, 1];

/// A statement with `VALUES`, in all its sizes, the largest first. Its parameters are used in their
/// order, each once.
pub(super) struct Bulk {
    sized: Vec<Statement>,
}

struct Statement {
    rows: usize,
    /// Parameters are `?`: SQLite looks for those with a name by going through all of them.
    sqlite: String,
    /// Parameters are `$1` and so on.
    postgres: String,
}

impl Statement {
    fn text(&self, is_sqlite: bool) -> &str {
        if is_sqlite { &self.sqlite } else { &self.postgres }
    }
}

impl Bulk {
    /// Makes an `INSERT` of what is before the rows, the number of columns, and what is after the
    /// rows.
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        Self::of(head, columns, |_, parameter| parameter.to_owned(), tail)
    }

    /// The same, where the last column is not its parameter, but what is made of that.
    pub(super) fn with(
        head: &str,
        columns: usize,
        made: impl Fn(&str) -> String,
        tail: &str,
    ) -> Self {
        let value = |column: usize, parameter: &str| {
            if column + 1 == columns { made(parameter) } else { parameter.to_owned() }
        };
        Self::of(head, columns, value, tail)
    }

    /// Makes an `UPDATE` of what is set and where. The rows are `v`; its columns are `column1` and
    /// so on, as both databases call them, of these types, which PostgreSQL cannot tell by itself.
    pub(super) fn update(set: &str, types: &[&str], on: &str) -> Self {
        let cast =
            |column: usize, parameter: &str| format!("CAST({parameter} AS {})", types[column]);
        Self::of(&format!("{set} FROM ("), types.len(), cast, &format!(") AS v {on}"))
    }

    /// Makes a `SELECT` of a table's rows that have one of some pairs of texts in two columns. The
    /// pairs come first in the join, so that the table is looked up by them.
    pub(super) fn select(what: &str, table: &str, [first, second]: [&str; 2]) -> Self {
        let text = |_, parameter: &str| format!("CAST({parameter} AS TEXT)");
        let on = format!("CROSS JOIN {table} WHERE {first} = v.column1 AND {second} = v.column2");
        Self::of(&format!("SELECT {what} FROM ("), 2, text, &format!(") AS v {on}"))
    }

    fn of(head: &str, columns: usize, value: impl Fn(usize, &str) -> String, tail: &str) -> Self {
        let statement = |rows: usize, parameter: &dyn Fn(usize) -> String| {
            let row = |r: usize| {
                let values = (0..columns).map(|c| value(c, &parameter(r * columns + c + 1)));
                format!("({})", values.collect::<Vec<_>>().join(", "))
            };
            let values = (0..rows).map(row).collect::<Vec<_>>().join(", ");
            format!("{head} VALUES {values} {tail}")
        };
        let sized = SIZES.map(|rows| Statement {
            rows,
            sqlite: statement(rows, &|_| "?".to_owned()),
            postgres: statement(rows, &|n| format!("${n}")),
        });
        Self { sized: sized.into() }
    }

    /// Splits rows into parts, in order, each with the statement that takes it.
    pub(super) fn parts<'r, T>(
        &'static self,
        tx: &Tx,
        rows: &'r [T],
    ) -> impl Iterator<Item = (&'static str, &'r [T])> + use<'r, T> {
        let is_sqlite = matches!(tx, Tx::Sqlite(_));
        self.split(rows).map(move |(sized, part)| (sized.text(is_sqlite), part))
    }

    fn split<'r, T>(
        &'static self,
        mut rows: &'r [T],
    ) -> impl Iterator<Item = (&'static Statement, &'r [T])> {
        iter::from_fn(move || {
            let sized = self.sized.iter().find(|sized| sized.rows <= rows.len())?;
            let (part, rest) = rows.split_at(sized.rows);
            rows = rest;
            Some((sized, part))
        })
    }

    /// Every size, for the test that prepares them all.
    #[cfg(test)]
    pub(super) fn statements(&'static self, db: &super::Db) -> impl Iterator<Item = &'static str> {
        let is_sqlite = matches!(db, super::Db::Sqlite(_));
        self.sized.iter().map(move |sized| sized.text(is_sqlite))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::Bulk;

    static BULK: LazyLock<Bulk> = LazyLock::new(|| Bulk::new("INSERT INTO t (a, b)", 2, "X"));

    #[test]
    fn rows_are_split_in_order() {
        let rows: Vec<u32> = (0..95).collect();
        let parts: Vec<_> = BULK.split(&rows).collect();
        let sizes: Vec<usize> = parts.iter().map(|(_, part)| part.len()).collect();
        assert_eq!(sizes, [32, 32, 24, 7]);
        assert_eq!(
            parts.iter().flat_map(|(_, part)| part.iter().copied()).collect::<Vec<_>>(),
            rows
        );
        let of_two = &BULK.sized[BULK.sized.len() - 2];
        assert_eq!(of_two.postgres, "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) X");
        assert_eq!(of_two.sqlite, "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) X");
        assert_eq!(BULK.split(&rows[..0]).count(), 0);
    }

    #[test]
    fn any_number_up_to_the_largest_needs_two_statements_at_most() {
        let rows = [(); 32];
        assert!((0..=32).all(|n| BULK.split(&rows[..n]).count() <= 2));
    }

    #[test]
    fn what_is_made_of_a_parameter_is_the_last_column() {
        let with = Bulk::with("INSERT INTO t (a, b)", 2, |p| format!("f({p})"), "");
        assert_eq!(
            with.sized[with.sized.len() - 1].postgres,
            "INSERT INTO t (a, b) VALUES ($1, f($2)) "
        );
    }

    #[test]
    fn an_update_tells_the_types_of_its_rows() {
        let update = Bulk::update("UPDATE t SET a = v.column2", &["TEXT", "BIGINT"], "WHERE b");
        assert_eq!(
            update.sized[update.sized.len() - 2].postgres,
            "UPDATE t SET a = v.column2 FROM ( VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT)), \
             (CAST($3 AS TEXT), CAST($4 AS BIGINT)) ) AS v WHERE b"
        );
    }
}
