//! Stories: what Chorus does, told against the real program in a process of its own, with real
//! tmux, and with the real Claude Code or a stand-in for it.
//!
//! Every story has a [`harness::World`] of its own: its own home, data folder, port, tmux server,
//! scripted model and database. That is an SQLite file, or, if `CHORUS_TEST_STORE=postgres` says so,
//! a database of a PostgreSQL that this program runs; some stories run on both in any case. Stories
//! wait for facts, never for time to pass.

mod cli;
mod conversations;
mod dashboard;
mod database;
mod demo;
mod documents;
mod documents_cli;
mod documents_editor;
mod documents_safety;
mod durability;
mod elsewhere;
mod git;
mod git_stand_in;
mod harness;
mod hooks;
mod life;
mod life_cut_short;
mod lists;
mod notices;
mod notices_terminal;
mod operations;
mod permissions;
mod permissions_audit;
mod permissions_decisions;
mod permissions_rules;
mod real_decisions;
mod real_elsewhere;
mod real_ends;
mod real_git;
mod real_imports;
mod real_life;
mod real_notices;
mod real_outages;
mod real_permissions;
mod real_prompts;
mod real_record;
mod real_start;
mod real_tasks;
mod real_usage;
mod references;
mod retention;
mod robustness;
mod robustness_values;
mod serve;
mod stream;
mod surface;
mod tasks;
mod tasks_follow;
mod tasks_queue;
mod templates;
mod terminal;
mod top;
mod trust;
mod typing;
mod usage;
mod waiting;
