//! The operating system's ways to tell a person something: the desktop's notifications, and any
//! program. Everything about them that depends on the system is in this module.
//!
//! - Linux and others: `notify-send`, which speaks to the desktop over D-Bus.
//! - macOS: `osascript`. It is untested there.
//!
//! Both are programs that are run with arguments, never through a shell.

mod desktop;
mod program;

pub use desktop::{Absent, Desktop, Message};
pub use program::{Failure, Program};
