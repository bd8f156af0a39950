//! What Chorus costs the real Claude Code.

use anyhow::Result;

use crate::Bench;

/// Measures the delay added to each tool call.
pub fn tool_call(_: &mut Bench) -> Result<()> {
    Ok(())
}

/// Measures the way from the API call to `SessionStart`.
pub fn launch(_: &mut Bench) -> Result<()> {
    Ok(())
}

/// Measures the ways of a question and of its answer.
pub fn permission(_: &mut Bench) -> Result<()> {
    Ok(())
}
