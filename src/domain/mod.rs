//! What Chorus is about, as plain data and pure functions.
//!
//! Nothing here does I/O, reads a clock or knows SQL, HTTP, tmux or a file format of Claude
//! Code's. Time and randomness come in as arguments.

pub mod audit;
pub mod call;
pub mod claim;
pub mod direction;
pub mod document;
pub mod event;
pub mod excerpt;
pub mod git;
pub mod hex;
pub mod ids;
pub mod message;
pub(crate) mod names;
pub mod notice;
pub mod observation;
pub mod outline;
pub mod permission;
pub mod project;
pub mod prompt;
pub mod question;
pub mod record;
pub mod reducer;
pub mod reference;
pub mod rule;
pub mod scrub;
pub mod session;
pub mod shell;
pub mod task;
pub mod time;
pub mod todo;
pub mod usage;
