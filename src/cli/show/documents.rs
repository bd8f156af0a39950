//! What is printed of documents. What they say is hostile.

use std::io::Write as _;

use anyhow::Result;

use super::{indented, json, line, safe};
use crate::api::documents::{LinesView, OutlineView};
use crate::api::references::ReferenceView;
use crate::domain::document::Document;
use crate::domain::reference::ReferenceState;

/// Prints documents as a table.
pub fn documents(documents: &[Document], as_json: bool) -> Result<()> {
    if as_json {
        return json(&documents);
    }
    if documents.is_empty() {
        say!("no documents; `document_patterns` says which files are some (`chorus config`)");
    }
    let wide = documents.iter().map(|d| d.path.chars().count()).max().unwrap_or(0).clamp(8, 60);
    for d in documents {
        let pin = if d.pinned { "*" } else { " " };
        let more = [
            d.missing.then(|| "missing".to_owned()),
            (d.references > 0).then(|| format!("references: {}", d.references)),
            d.description.as_deref().map(|d| line(d, 100)),
        ];
        let more = more.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        let (path, age) = (line(&d.path, 200), super::age(d.last_modified));
        say!("{:>5} {pin} {path:wide$}  {:13}  {age:>4}  {more}", d.id.0, d.category);
    }
    Ok(())
}

/// Prints lines with their numbers.
pub fn lines(view: &LinesView, as_json: bool) -> Result<()> {
    if as_json {
        return json(view);
    }
    let wide = view.end.to_string().len();
    for l in &view.lines {
        say!("{}", format!("{:>wide$}  {}", l.number, safe(&l.content)).trim_end());
    }
    Ok(())
}

/// Prints headings.
pub fn outline(view: &OutlineView, as_json: bool) -> Result<()> {
    if as_json {
        return json(view);
    }
    if view.outline.is_empty() {
        say!("{} has no headings", safe(&view.path));
    }
    let wide = view.line_count.to_string().len();
    for h in &view.outline {
        let indent = "  ".repeat(usize::from(h.level.saturating_sub(1)));
        say!("{:>wide$}  {indent}{}", h.line, line(&h.text, 200));
    }
    Ok(())
}

/// Prints references; of one that has drifted both versions.
pub fn references(references: &[ReferenceView], as_json: bool) -> Result<()> {
    if as_json {
        return json(&references);
    }
    if references.is_empty() {
        say!("nothing refers to it");
    }
    for r in references {
        let task = r.task_id.map(|t| format!("  task {t}")).unwrap_or_default();
        let note = r.note.as_deref().map(|n| format!("  {}", line(n, 200))).unwrap_or_default();
        let (path, state) = (safe(&r.document_path), state(r.state));
        say!("{:>5}  {path}:{}-{}  {state}{task}{note}", r.id.0, r.start_line, r.end_line);
        if let Some(stored) = &r.stored {
            say!("    was: {}", indented(&stored.content, 20));
            if let Some(now) = &r.content {
                say!("    now: {}", indented(now, 20));
                say!("    chorus docs accept {}", r.id);
            }
        }
    }
    Ok(())
}

fn state(state: ReferenceState) -> &'static str {
    match state {
        ReferenceState::Current => "as it was",
        ReferenceState::Moved => "moved along",
        ReferenceState::Drifted => "DRIFTED: the text was changed",
        ReferenceState::Missing => "MISSING: the text is no longer there",
    }
}
