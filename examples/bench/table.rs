//! The table of what was measured, as Markdown.

use std::fmt;
use std::time::Duration;

use crate::costs;

/// One figure.
struct Row {
    what: String,
    measured: String,
    target: String,
    peer: String,
    verdict: &'static str,
}

/// All figures so far.
#[derive(Default)]
pub struct Table(Vec<Row>);

/// What a figure is held against.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The target in words; empty if there is none.
    pub words: &'a str,
    /// What the best peer reaches.
    pub peer: &'a str,
    /// Whether it is met.
    pub met: Option<bool>,
}

impl<'a> Target<'a> {
    /// No target: the figure stands for itself.
    pub const NONE: Target<'static> = Target { words: "", peer: "", met: None };

    /// A figure that must not be above `limit`.
    pub fn at_most(value: f64, limit: f64, words: &'a str, peer: &'a str) -> Self {
        Self { words, peer, met: Some(value <= limit) }
    }

    /// A figure that must not be below `limit`.
    pub fn at_least(value: f64, limit: f64, words: &'a str, peer: &'a str) -> Self {
        Self { words, peer, met: Some(value >= limit) }
    }
}

impl Table {
    /// Adds a figure, and tells of it at once.
    pub fn add(&mut self, what: impl Into<String>, measured: String, target: Target<'_>) {
        let verdict = match target.met {
            None => "",
            Some(true) => "PASS",
            Some(false) => "over",
        };
        let what = what.into();
        eprintln!("  {what}: {measured} {} {verdict}", target.words);
        self.0.push(Row {
            what,
            measured,
            target: target.words.to_owned(),
            peer: if target.peer.is_empty() { String::new() } else { format!("({})", target.peer) },
            verdict,
        });
    }
}

impl Row {
    fn cells(&self) -> [&str; 5] {
        [&self.what, &self.measured, &self.target, &self.peer, self.verdict]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["figure", "measured", "target", "best peer", ""];
        let rows: Vec<[&str; 5]> = self.0.iter().map(Row::cells).collect();
        let width =
            |i: usize| rows.iter().chain([&head]).map(|r| r[i].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        let line = |f: &mut fmt::Formatter<'_>, row: &[&str; 5]| {
            for (cell, width) in row.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")
        };
        line(f, &head)?;
        for width in widths {
            write!(f, "|{:-<1$}", "", width + 2)?;
        }
        writeln!(f, "|")?;
        rows.iter().try_for_each(|row| line(f, row))
    }
}

/// `p50 / p99` in milliseconds.
pub fn percentiles(times: &[Duration]) -> String {
    let of = |p| ms(costs::percentile(times, p));
    format!("{:.2} / {:.2} ms (p50 / p99)", of(0.5), of(0.99))
}

/// In milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
