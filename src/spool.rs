//! The spool: hooks that could not be delivered, one file each, for the server to collect.
//!
//! A file is a line of JSON about the delivery and then the payload, byte by byte as Claude Code
//! wrote it. It appears under its name only when it is whole (written aside, then renamed), and its
//! name sorts by time.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::ids::Stamp;
use crate::domain::time::Timestamp;

/// Files beyond which a hook gives up: the transcripts tell the rest.
pub const LIMIT: usize = 50_000;

/// How many files wait in a spool. Blocks for as long as the folder takes to read.
pub fn waiting(spool: &Path) -> usize {
    let files = fs::read_dir(spool).into_iter().flatten().flatten();
    files.filter(|f| f.path().extension().is_some_and(|e| e == "hook")).count()
}

/// About one delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The delivery's id.
    pub stamp: Stamp,
    /// When the hook ran.
    pub at: Timestamp,
    /// The session, as its environment named it.
    pub session: String,
    /// The session's hook token, which the server checks as it would have on delivery.
    pub token: String,
    /// Which of the session's processes ran it.
    pub generation: Option<u32>,
    /// The event, as Claude Code named it.
    pub event: String,
}

impl Meta {
    /// The name of the delivery's file.
    pub fn file_name(&self) -> String {
        format!("{:015}-{}.hook", self.at.0.max(0), self.stamp)
    }

    /// The name while it is being written: the server takes no file of this kind.
    pub fn part_name(&self) -> String {
        format!("{}.part", self.file_name())
    }

    /// The file's content.
    pub fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Reads a file's content. `None` if it is not one of ours.
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let end = bytes.iter().position(|b| *b == b'\n')?;
        Some((serde_json::from_slice(&bytes[..end]).ok()?, &bytes[end + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::{Meta, Stamp, Timestamp};

    #[test]
    fn a_delivery_survives_its_file() {
        let meta = Meta {
            stamp: Stamp::new(),
            at: Timestamp(1_795_195_234_543),
            session: "s".into(),
            token: "t".into(),
            generation: Some(2),
            event: "Stop".into(),
        };
        let bytes = meta.encode(b"{\"a\":\n1}");
        assert_eq!(Meta::decode(&bytes), Some((meta, &b"{\"a\":\n1}"[..])));
        assert_eq!(Meta::decode(b"no line"), None);
    }
}
