//! Conversations that were held before anybody listened: found by their transcripts.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::json::{self, block_text, text};
use super::text::{is_automatic, unwrap_paste};
use crate::domain::ids::ConversationId;
use crate::domain::time::Timestamp;

/// How much of a transcript is looked at to tell what it is about. Bytes.
const HEAD: u64 = 256 * 1024;
/// How much of the first prompt is told. Characters.
const PROMPT: usize = 200;

/// A transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Claude Code's id of the conversation: the file's name.
    pub conversation: ConversationId,
    /// The file.
    pub path: PathBuf,
    /// When it was written to last.
    pub modified_at: Timestamp,
    /// Its size.
    pub bytes: u64,
}

/// What a conversation is about, as its transcript's beginning tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Where Claude worked.
    pub cwd: Option<String>,
    /// What it was called by a person or by Claude Code.
    pub title: Option<String>,
    /// Its first prompt, cut.
    pub prompt: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// The version of Claude Code.
    pub version: Option<String>,
}

/// Finds the transcripts in a configuration folder, those written last first. Sub-agents' are part
/// of their conversation's. What cannot be read is left out. Blocks.
pub fn find(config_dir: &Path) -> Vec<Past> {
    let folders = fs::read_dir(config_dir.join("projects")).into_iter().flatten().flatten();
    let files = folders.flat_map(|f| fs::read_dir(f.path()).into_iter().flatten().flatten());
    let mut found: Vec<Past> = files.filter_map(|f| past(&f.path())).collect();
    found.sort_by(|a, b| {
        (b.modified_at, &b.conversation.0).cmp(&(a.modified_at, &a.conversation.0))
    });
    found
}

fn past(path: &Path) -> Option<Past> {
    let id = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    // Claude Code's ids are UUIDs; anything else is not for us to read.
    uuid::Uuid::try_parse(id).ok()?;
    // A link could lead anywhere.
    let meta = fs::symlink_metadata(path).ok().filter(|m| m.is_file() && m.len() > 0)?;
    let modified = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Past {
        conversation: ConversationId(id.to_owned()),
        path: path.to_owned(),
        modified_at: Timestamp(i64::try_from(modified.as_millis()).ok()?),
        bytes: meta.len(),
    })
}

/// Reads what a transcript's beginning tells. `None` if no prompt and no answer is in it: Claude Code
/// writes such files too. Blocks.
pub fn about(path: &Path) -> Option<About> {
    let mut about = About::default();
    let mut spoken = false;
    for line in BufReader::new(File::open(path).ok()?.take(HEAD)).split(b'\n') {
        // The last line may be cut.
        let Ok(Value::Object(line)) = json::parse(&line.ok()?) else { continue };
        let field = |name: &str| text(&line, name).map(str::to_owned);
        about.cwd = about.cwd.or_else(|| field("cwd"));
        about.version = about.version.or_else(|| field("version"));
        about.started_at =
            about.started_at.or_else(|| field("timestamp").as_deref().and_then(Timestamp::parse));
        match text(&line, "type") {
            Some("custom-title") => about.title = field("customTitle").or(about.title),
            Some("ai-title") => about.title = about.title.or_else(|| field("aiTitle")),
            Some("assistant") => spoken = true,
            Some("user") => {
                spoken = true;
                let content = line.get("message").and_then(|m| m.get("content"));
                let said = content.and_then(block_text).filter(|s| is_prompt(s));
                about.prompt = about
                    .prompt
                    .or_else(|| Some(unwrap_paste(&said?).chars().take(PROMPT).collect()));
            }
            _ => {}
        }
    }
    spoken.then_some(about)
}

/// Whether a person wrote it: Claude Code puts its own words in tags.
fn is_prompt(said: &str) -> bool {
    !said.trim_start().starts_with('<') && !is_automatic(said) && !said.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{about, find};
    use crate::domain::time::Timestamp;

    const ID: &str = "93e9d73d-540e-4990-b1ef-fe1c6213d48e";

    #[test]
    fn only_transcripts_of_conversations_are_found() {
        let config = tempfile::tempdir().expect("a folder");
        let folder = config.path().join("projects/-project");
        fs::create_dir_all(folder.join(ID).join("subagents")).expect("folders");
        let file = |name: &str| folder.join(name);
        fs::write(file(&format!("{ID}.jsonl")), "{}\n").expect("a file");
        fs::write(file("00000000-540e-4990-b1ef-fe1c6213d48e.jsonl"), "").expect("an empty file");
        fs::write(file("notes.jsonl"), "{}\n").expect("another file");
        fs::write(file(&format!("{ID}/subagents/agent-a1.jsonl")), "{}\n").expect("a file");
        let link = file("11111111-540e-4990-b1ef-fe1c6213d48e.jsonl");
        std::os::unix::fs::symlink("/etc/passwd", link).expect("a link");
        let found = find(config.path());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].conversation.0.as_str(), found[0].bytes), (ID, 3));
        assert_eq!(find(Path::new("/no/such/folder")), []);
    }

    #[test]
    fn a_transcript_tells_what_it_is_about() {
        let real =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude/transcript.jsonl");
        let told = about(&real).expect("a conversation");
        assert_eq!(told.cwd.as_deref(), Some("/project"));
        assert!(told.prompt.is_some_and(|p| p.contains("scenario:")), "the first prompt");
        assert!(told.started_at.is_some_and(|at| at > Timestamp(0)));
        let folder = tempfile::tempdir().expect("a folder");
        let silent = folder.path().join("silent.jsonl");
        fs::write(&silent, "{\"type\":\"mode\"}\nno JSON\n").expect("a file");
        assert_eq!(about(&silent), None);
    }
}
