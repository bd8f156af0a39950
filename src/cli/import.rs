//! `chorus import`.

use std::io::Write as _;

use anyhow::{Result, ensure};

use super::args::Import as Args;
use super::client::{Client, encoded};
use super::exit::Exit;
use super::show;
use super::show::{age, line, say};
use crate::api::sessions::import::{Import, ImportedConversation, PastConversation};
use crate::domain::ids::ConversationId;

/// Conversations that are imported with one request.
const AT_ONCE: usize = 20;

/// Lists what can be imported, or imports it.
pub async fn run(client: &Client, args: Args, json: bool) -> Result<Exit> {
    let mut query = vec![format!("new=true&limit={}", if args.all { 500 } else { args.last })];
    let absolute = |path: &std::path::Path| -> Result<String> {
        let path = std::path::absolute(path)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let folder = args.folder.as_deref().map(absolute).transpose()?;
    let config = args.claude_config_dir.as_deref().map(absolute).transpose()?;
    for (name, value) in [("folder", &folder), ("claude_config_dir", &config)] {
        query.extend(value.as_ref().map(|v| format!("{name}={}", encoded(v))));
    }
    let mut wanted: Vec<ConversationId> =
        args.conversations.into_iter().map(ConversationId).collect();
    if wanted.is_empty() {
        let path = format!("/api/sessions/import?{}", query.join("&"));
        let found: Vec<PastConversation> = client.get(&path).await?;
        if !args.all {
            print_list(&found, json)?;
            return Ok(Exit::Ok);
        }
        wanted = found.into_iter().map(|c| c.conversation_id).collect();
    }
    ensure!(wanted.len() <= 500, "name at most 500 conversations");
    let mut all: Vec<ImportedConversation> = Vec::new();
    for some in wanted.chunks(AT_ONCE) {
        let body = Import { conversation_ids: some.to_vec(), claude_config_dir: config.clone() };
        let done: Vec<ImportedConversation> = client.post("/api/sessions/import", &body).await?;
        all.extend(done);
    }
    print(&all, json)?;
    let failed = all.iter().any(|i| i.problem.is_some());
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

fn print_list(found: &[PastConversation], as_json: bool) -> Result<()> {
    if as_json {
        return show::json(&found);
    }
    if found.is_empty() {
        say!(
            "Claude Code has kept no other conversation here; --claude-config-dir looks elsewhere"
        );
        return Ok(());
    }
    for c in found {
        let what = c.title.as_deref().or(c.first_prompt.as_deref()).unwrap_or("(no prompt)");
        say!("{}  {:>4}  {}", c.conversation_id.0, age(c.modified_at), line(what, 80));
        say!("    {}", line(c.folder.as_deref().unwrap_or("(folder unknown)"), 120));
    }
    say!("`chorus import CONVERSATION…` imports some of them, `chorus import --all` all");
    Ok(())
}

fn print(all: &[ImportedConversation], as_json: bool) -> Result<()> {
    if as_json {
        return show::json(&all);
    }
    for i in all {
        match (&i.session, &i.problem) {
            (Some(s), _) if i.known => say!("{}  known as {}", i.conversation_id.0, s.name),
            (Some(s), _) => say!("{}  imported as {}", i.conversation_id.0, s.name),
            (None, problem) => say!(
                "{}  not imported: {}",
                line(&i.conversation_id.0, 80),
                line(problem.as_deref().unwrap_or_default(), 300)
            ),
        }
    }
    if all.iter().any(|i| i.session.is_some() && !i.known) {
        say!("`chorus logs NAME` shows what was said, `chorus resume NAME` goes on with it");
    }
    Ok(())
}
