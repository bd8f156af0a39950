//! The formats Chorus asks tmux for, and how their values are read.
//!
//! Names and titles may hold any printable character, so they come with their length in bytes
//! before them (`3:a|b`); no separator can be forged and none depends on the version of tmux.

use super::alert::Client;
use super::types::{Pane, PaneChange, PaneId};

/// A pane in full: one line.
pub(super) const PANE_FORMAT: &str = "#{pane_id} #{pane_dead} s#{pane_dead_status} \
     g#{pane_dead_signal} #{session_attached} #{pane_pid} #{cursor_x} #{cursor_y} #{pane_width} \
     #{pane_height} #{alternate_on} #{n:session_name}:#{session_name}#{n:pane_title}:#{pane_title}";

/// A pane in the subscription.
pub(super) const SUBSCRIPTION_FORMAT: &str = "#{pane_id} #{pane_dead} s#{pane_dead_status} \
     g#{pane_dead_signal} #{session_attached} \
     #{n:session_name}:#{session_name}#{n:pane_title}:#{pane_title};";

/// Reads one line of [`PANE_FORMAT`].
pub(super) fn read_pane(line: &[u8]) -> Option<Pane> {
    let mut reader = Reader(line);
    let (pane, dead, dead_status, dead_signal, attached) = reader.beginning()?;
    let pid = reader.word()?.parse().ok()?;
    let cursor = (reader.word()?.parse().ok()?, reader.word()?.parse().ok()?);
    let (width, height) = (reader.word()?.parse().ok()?, reader.word()?.parse().ok()?);
    let alternate_on = reader.word()? == "1";
    let (session, title) = (reader.counted()?, reader.counted()?);
    reader.0.is_empty().then_some(Pane {
        session,
        pane,
        pid,
        dead,
        dead_status,
        dead_signal,
        title,
        cursor,
        width,
        height,
        alternate_on,
        attached,
    })
}

/// Reads the value of the subscription.
pub(super) fn read_subscription(value: &[u8]) -> Option<Vec<PaneChange>> {
    let mut reader = Reader(value);
    let mut panes = Vec::new();
    while !reader.0.is_empty() {
        let (pane, dead, dead_status, dead_signal, attached) = reader.beginning()?;
        let (session, title) = (reader.counted()?, reader.counted()?);
        reader.0 = reader.0.strip_prefix(b";")?;
        panes.push(PaneChange { pane, session, dead, dead_status, dead_signal, title, attached });
    }
    Some(panes)
}

/// Reads one line of `alert::CLIENT_FORMAT`.
pub(super) fn read_client(line: &[u8]) -> Option<Client> {
    let mut reader = Reader(line);
    let control = reader.word()? == "1";
    let (name, session) = (reader.counted()?, reader.counted()?);
    reader.0.is_empty().then_some(Client { name, session, control })
}

/// Id, dead, status, signal, attached.
type Beginning = (PaneId, bool, Option<i32>, Option<i32>, u32);

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// What both formats begin with.
    fn beginning(&mut self) -> Option<Beginning> {
        Some((
            self.word()?.parse().ok()?,
            self.word()? == "1",
            self.word()?.strip_prefix('s')?.parse().ok(),
            self.word()?.strip_prefix('g')?.parse().ok(),
            self.word()?.parse().ok()?,
        ))
    }

    fn word(&mut self) -> Option<&'a str> {
        self.until(b' ')
    }

    fn until(&mut self, end: u8) -> Option<&'a str> {
        let at = self.0.iter().position(|&b| b == end)?;
        let (word, rest) = self.0.split_at(at);
        self.0 = &rest[1..];
        std::str::from_utf8(word).ok()
    }

    fn counted(&mut self) -> Option<String> {
        let length: usize = self.until(b':')?.parse().ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn titles_cannot_forge_fields() {
        let value = "%1 1 s g9 0 2:t19:é✳ a%b;%2 0 s g 1 1:x14:;%3 0 s g 0 1:;".as_bytes();
        let panes = read_subscription(value).unwrap();
        assert_eq!(panes.len(), 2);
        assert_eq!((panes[0].title.as_str(), panes[0].dead_signal), ("é✳ a%b", Some(9)));
        assert_eq!((panes[1].title.as_str(), panes[1].attached), (";%3 0 s g 0 1:", 1));
    }

    #[test]
    fn a_pane_is_read() {
        let pane = read_pane("%12 1 s3 g 2 4711 5 6 200 50 1 4:ab-c2:✳".as_bytes());
        assert_eq!(pane, None, "the title is longer than said");
        let pane = read_pane("%12 1 s3 g 2 4711 5 6 200 50 1 4:ab-c3:✳".as_bytes()).unwrap();
        assert_eq!((pane.pane, pane.pid, pane.cursor), (PaneId(12), 4711, (5, 6)));
        assert_eq!((pane.dead_status, pane.dead_signal, pane.attached), (Some(3), None, 2));
        assert_eq!((pane.session.as_str(), pane.title.as_str()), ("ab-c", "✳"));
    }

    proptest! {
        #[test]
        fn anything_is_survived(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_subscription(&value);
            let _ = read_pane(&value);
        }
    }
}
