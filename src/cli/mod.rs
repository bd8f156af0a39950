//! The command line.

pub mod hook;
