//! A conversation that goes on in another session than it began in, as `/resume` has it.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Agent, World};

/// A conversation's transcript, which the story writes.
struct Transcript {
    path: PathBuf,
    file: File,
}

impl Transcript {
    fn of(world: &World, agent: &Agent) -> Self {
        let path = world.root().join(format!("{}.jsonl", agent.conversation));
        Self { file: File::create(&path).expect("a transcript"), path }
    }

    fn prompt(&mut self, text: &str) {
        let now = chorus::clock::now().to_string();
        let line = json!({ "type": "user", "uuid": text, "timestamp": now,
            "message": { "role": "user", "content": text } });
        self.file.write_all(format!("{line}\n").as_bytes()).expect("a line");
    }
}

/// A session whose conversation has a prompt on the record.
async fn with_a_prompt(world: &World, name: &str) -> (Agent, Transcript) {
    let agent = world.begin(name).await;
    let mut transcript = Transcript::of(world, &agent);
    let start = json!({ "source": "startup", "transcript_path": transcript.path });
    world.post_hook(&agent, "SessionStart", &start).await.expect(204);
    transcript.prompt("before");
    world.wait_for_words(name, "before").await;
    (agent, transcript)
}

/// Another session, in which somebody picks that conversation.
async fn picked_in(world: &World, name: &str, agent: &Agent, transcript: &Transcript) {
    let other = world.begin(name).await;
    world.post_hook(&other, "SessionEnd", &json!({ "reason": "resume" })).await.expect(204);
    let start = json!({ "source": "resume", "session_id": agent.conversation,
        "transcript_path": transcript.path });
    world.post_hook(&other, "SessionStart", &start).await.expect(204);
}

async fn conversations(world: &World, session: &str) -> Vec<String> {
    let all = world.get(format!("/api/sessions/{session}/conversations")).await.expect(200).json();
    let ids = all.as_array().into_iter().flatten();
    ids.filter_map(|c| c["id"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_conversation_of_a_session_that_ended_goes_on_in_another_and_is_the_others_from_then_on()
{
    let mut world = World::build().stand_in().env("CHORUS_POLL_INTERVAL", "0.2").start().await;
    let (agent, mut transcript) = with_a_prompt(&world, "a").await;
    world.delete("/api/sessions/a").await.expect(204);
    picked_in(&world, "b", &agent, &transcript).await;
    transcript.prompt("after");
    world.wait_for_words("b", "after").await;
    assert_eq!(world.said(&agent.session).await, ["before"], "what was recorded stays where it is");
    assert_eq!(world.said("b").await, ["after"]);
    assert!(conversations(&world, "b").await.contains(&agent.conversation));

    // To forget the session in which it began takes nothing away from it.
    world.stop().await;
    world.sql("UPDATE sessions SET updated_at = updated_at - 8640000000 WHERE live = 0").await;
    world.set_env("CHORUS_POLL_INTERVAL", "0.2");
    world.start_again().await;
    let pruned = world.post("/api/database/prune", &json!({ "sessions_days": 90 })).await;
    assert_eq!(pruned.expect(200).json()["sessions"], 1);
    transcript.prompt("later");
    world.wait_for_words("b", "later").await;
    assert!(conversations(&world, "b").await.contains(&agent.conversation));
}

#[tokio::test]
async fn a_conversation_that_a_running_session_has_left_is_followed_where_it_goes_on() {
    let world = World::build().stand_in().env("CHORUS_POLL_INTERVAL", "0.2").start().await;
    let (agent, mut transcript) = with_a_prompt(&world, "a").await;
    let cleared = json!({ "source": "clear", "session_id": "another",
        "transcript_path": world.root().join("another.jsonl") });
    world.post_hook(&agent, "SessionStart", &cleared).await.expect(204);
    picked_in(&world, "b", &agent, &transcript).await;
    for n in 0..5 {
        transcript.prompt(&format!("after {n}"));
        world.wait_for_words("b", &format!("after {n}")).await;
    }
    assert_eq!(world.said("a").await, ["before"]);
}
