//! What Claude is told of a task: one text, which the preview shows as it arrives.

use std::fmt::Write as _;

use super::{PromptAs, Task};
use crate::domain::excerpt::Excerpt;
use crate::domain::prompt::normalised;

/// The shortest fence.
const FENCE: usize = 3;

/// The text that tells Claude of a task and of the lines of documents that matter for it.
pub fn prompt(task: &Task, excerpts: &[Excerpt]) -> String {
    let description = task.description.trim_end();
    let mut text = match (task.options.plain, description) {
        (true, description) => description.to_owned(),
        (false, "") => format!("## Task: {}", task.title),
        (false, description) => format!("## Task: {}\n\n{description}", task.title),
    };
    if !excerpts.is_empty() {
        text.push_str("\n\n## Context");
    }
    for excerpt in excerpts {
        add(&mut text, excerpt);
    }
    text
}

/// The first prompt of a session whose system prompt tells of the task.
pub fn first_prompt(task: &Task, whole: &str) -> String {
    match task.options.prompt_as {
        PromptAs::FirstPrompt => whole.to_owned(),
        PromptAs::SystemPrompt => {
            format!("Work on the task that your system prompt describes: {}", task.title)
        }
    }
}

fn add(text: &mut String, excerpt: &Excerpt) {
    let Excerpt { path, start, end, .. } = excerpt;
    // Writing to a string cannot fail.
    let _ = write!(text, "\n\n### From {} (lines {start}-{end}):\n", in_one_line(path));
    if let Some(note) = excerpt.note.as_deref().map(in_one_line).filter(|note| !note.is_empty()) {
        let _ = writeln!(text, "{note}");
    }
    let content = harmless(&excerpt.text);
    let fence = "`".repeat(fence(&content));
    let _ = write!(text, "{fence}\n{content}\n{fence}");
}

/// A document's text as it arrives: what Claude Code would change is changed before the fence is
/// chosen, and what the terminal would act on is shown as a replacement character.
fn harmless(text: &str) -> String {
    let text = normalised(text);
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn in_one_line(text: &str) -> String {
    harmless(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many backticks make a fence around a text: more than it has in a row anywhere.
fn fence(text: &str) -> usize {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    FENCE.max(longest + 1)
}
