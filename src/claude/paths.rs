//! Where Claude Code keeps its files.

use std::path::{Path, PathBuf};

/// The variable that names another configuration folder.
pub const CONFIG_DIR: &str = "CLAUDE_CONFIG_DIR";

/// Finds Claude Code's configuration folder: `$CLAUDE_CONFIG_DIR`, else `~/.claude`. `env` looks up
/// variables; an empty one counts as unset. `None` without either.
pub fn config_dir(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let get = |name| env(name).filter(|value| !value.is_empty());
    get(CONFIG_DIR).map(PathBuf::from).or_else(|| Some(Path::new(&get("HOME")?).join(".claude")))
}

/// Finds the file that holds onboarding, trust and login: `.claude.json`, beside the standard
/// configuration folder and inside another one.
pub fn global_config(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let get = |name| env(name).filter(|value| !value.is_empty());
    let folder = get(CONFIG_DIR).or_else(|| get("HOME"))?;
    Some(Path::new(&folder).join(".claude.json"))
}

/// Makes the name of a working directory's folder of transcripts: every character that is neither
/// an ASCII letter nor a digit becomes `-`.
///
/// JavaScript counts UTF-16 units, so a character beyond the first plane becomes two.
pub fn slug(cwd: &Path) -> String {
    let mut slug = String::new();
    for c in cwd.to_string_lossy().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else {
            slug.extend(std::iter::repeat_n('-', c.len_utf16()));
        }
    }
    slug
}

/// Finds the transcript of a conversation that began in `cwd`. Hooks tell the path too, and are
/// right where the two differ (very long paths are shortened by newer versions).
pub fn transcript(config_dir: &Path, cwd: &Path, conversation: &str) -> PathBuf {
    config_dir.join("projects").join(slug(cwd)).join(format!("{conversation}.jsonl"))
}

/// Finds the folder of the transcripts of a conversation's sub-agents.
pub fn subagents(transcript: &Path) -> PathBuf {
    transcript.with_extension("").join("subagents")
}

/// Finds the transcript of one sub-agent of a conversation. `None` if the id is no plain name.
pub fn subagent_transcript(transcript: &Path, agent_id: &str) -> Option<PathBuf> {
    let plain = !agent_id.is_empty()
        && agent_id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    plain.then(|| subagents(transcript).join(format!("agent-{agent_id}.jsonl")))
}

/// Finds the transcripts of a conversation's sub-agents that are there, each with its agent's id.
pub fn subagent_transcripts(transcript: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(subagents(transcript)).into_iter().flatten().flatten();
    entries.filter_map(|e| Some((agent_of(&e.path())?, e.path()))).collect()
}

/// Tells whose transcript a file in the folder of sub-agents is. `None` if it is none.
pub fn agent_of(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    Some(name.strip_prefix("agent-")?.strip_suffix(".jsonl")?.to_owned())
}

/// Finds the folder of the state files of running processes.
pub fn sessions_dir(config_dir: &Path) -> PathBuf {
    config_dir.join("sessions")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{
        agent_of, config_dir, global_config, sessions_dir, slug, subagent_transcript, transcript,
    };

    fn env(home: &'static str, config: &'static str) -> impl Fn(&str) -> Option<String> {
        move |name| match name {
            "HOME" => Some(home.to_owned()),
            "CLAUDE_CONFIG_DIR" => Some(config.to_owned()),
            _ => None,
        }
    }

    #[test]
    fn folders_are_where_claude_code_has_them() {
        assert_eq!(config_dir(env("/home/u", "")), Some(PathBuf::from("/home/u/.claude")));
        assert_eq!(config_dir(env("/home/u", "/c")), Some(PathBuf::from("/c")));
        assert_eq!(config_dir(|_| None), None);
        assert_eq!(global_config(env("/home/u", "")), Some("/home/u/.claude.json".into()));
        assert_eq!(global_config(env("/home/u", "/c")), Some("/c/.claude.json".into()));
        assert_eq!(sessions_dir(Path::new("/c")), Path::new("/c/sessions"));
    }

    #[test]
    fn transcripts_are_found() {
        assert_eq!(slug(Path::new("/home/u/my.project/q3_x")), "-home-u-my-project-q3-x");
        assert_eq!(slug(Path::new("/a/ä😀")), "-a----");
        let main = transcript(Path::new("/c"), Path::new("/project"), "id-1");
        assert_eq!(main, Path::new("/c/projects/-project/id-1.jsonl"));
        assert_eq!(
            subagent_transcript(&main, "ae7"),
            Some("/c/projects/-project/id-1/subagents/agent-ae7.jsonl".into())
        );
        assert_eq!(agent_of(Path::new("/c/x/agent-ae7.jsonl")), Some("ae7".into()));
        assert_eq!(agent_of(Path::new("/c/x/agent-ae7.meta.json")), None);
        assert_eq!(subagent_transcript(&main, "../x"), None);
        assert_eq!(subagent_transcript(&main, ""), None);
    }
}
