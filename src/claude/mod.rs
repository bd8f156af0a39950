//! Claude Code: everything that knows its formats, and nothing else does.
//!
//! What Claude Code tells (hooks, transcripts, state files, screens) becomes the domain's facts and
//! records here; what Chorus wants of it (launches, answers, settings) becomes its arguments and
//! JSON here. Formats were recorded from 2.1.197 and 2.1.329; where the two differ, a
//! [`profile::Profile`] says how. Input is hostile: nothing here panics or grows without bound.

mod json;
mod limit;
mod result;
mod text;

pub mod hooks;
pub mod installation;
pub mod launch;
pub mod models;
pub mod past;
pub mod paths;
pub mod profile;
pub mod screen;
pub mod state_file;
pub mod tail;
pub mod telemetry;
pub mod tools;
pub mod transcript;

pub use json::input_digest;
