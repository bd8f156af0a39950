//! Chorus: the control plane for everyone who runs many Claude Code sessions at once.
//!
//! Layers, each of which may use only those to its left (a test enforces it; `ARCHITECTURE.md`
//! explains it):
//!
//! ```text
//! domain ← store, bus, tmux, claude, git, process, notify ← services ← api, web ← server, cli
//! ```

pub mod api;
pub mod bus;
pub mod claude;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod domain;
pub mod git;
pub mod notify;
pub mod process;
pub mod server;
pub mod services;
pub mod spool;
pub mod store;
pub mod tmux;
pub mod web;
