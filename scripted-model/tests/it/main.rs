//! The stand-in over real connections, as a library and as a program.

mod client;
mod http;
mod program;
