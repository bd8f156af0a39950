//! What comes from outside may hold anything.

use serde_json::json;

use super::{begin, call, outgoing, project, read_to, request, rule, utterance, write};
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::ids::{ConversationId, SessionId, ToolUseId};
use crate::domain::message::{Delivery, MessageSource};
use crate::domain::permission::DecidedBy;
use crate::domain::record::{Response, ToolStatus};
use crate::domain::session::SessionName;
use crate::domain::time::Timestamp;
use crate::store::{Db, Order, SettledPermission, Write, logs, messages, sessions};

/// Text that one of the databases could not keep: in every column there is.
pub(super) async fn whatever_text_comes_it_is_kept(db: &Db) {
    let mut session = begin(db).await;
    let nul = "a\0b";
    let long = format!("\0{}", (0..4_000).map(|n| format!("{n:x}")).collect::<String>());
    for odd in [nul, long.as_str()] {
        let odd = odd.to_owned();
        session.claude_version = Some(odd.clone());
        session.metadata.insert(odd.clone(), json!(odd));
        let conversation = ConversationId(odd.clone());
        let mut prompt = outgoing(&session, &odd);
        prompt.message.agent_id = Some(odd.clone());
        prompt.message.conversation_id = Some(conversation.clone());
        let id = prompt.message.id;
        let mut said = utterance(&odd, &odd);
        said.agent_id = Some(odd.clone());
        let mut asked = request(&session);
        asked.conversation_id = Some(conversation.clone());
        asked.tool.clone_from(&odd);
        asked.summary.clone_from(&odd);
        asked.agent_type = Some(odd.clone());
        asked.input = json!({ odd.clone(): odd });
        let mut settled = asked.clone();
        settled.decided_by = Some(DecidedBy::Api);
        settled.message = Some(odd.clone());
        let mut told = call(&session, &odd, ToolStatus::Completed, 9);
        if let Write::Tool { call, conversation: of, .. } = &mut told {
            call.tool.clone_from(&odd);
            call.result = Some(odd.repeat(60 * 1024 / odd.len()).into());
            call.agent_id = Some(odd.clone());
            call.input = Some(json!(odd));
            *of = Some(conversation.clone());
        }
        let mut event =
            NewEvent::new(EventKind::Hook, session.id, Timestamp(9), &json!({"x": odd}));
        event.dedupe_key = Some(odd.clone());
        let project = project(&format!("{}\0", odd.len()), &odd);
        let mut named = project.clone();
        named.name.push('\0');
        // What is left of a key is still the same key: it comes twice, and counts once.
        let twice = [told.clone(), Write::Event(event.clone())];
        let mut other = session.clone();
        other.id = SessionId::new();
        other.name = SessionName::new(&format!("s{}", odd.len())).expect("a name");
        other.tmux_session.clone_from(&odd);
        other.workspace_path.clone_from(&odd);
        let mut writes = vec![
            Write::AddProject(project),
            Write::AddSession { session: Box::new(other), idempotency_key: Some(odd.clone()) },
            Write::SaveProject(named),
            Write::SaveSession(Box::new(session.clone())),
            Write::StartConversation {
                id: conversation.clone(),
                session: session.id,
                transcript: Some(odd.clone()),
                at: Timestamp(9),
            },
            Write::LocateTranscript { id: conversation.clone(), path: odd.clone() },
            read_to(&conversation, None, 1, &odd),
            read_to(&conversation, Some(&odd), 1, &odd),
            Write::EndConversation {
                id: conversation.clone(),
                reason: odd.clone(),
                at: Timestamp(9),
            },
            told,
            Write::Say {
                session: session.id,
                conversation: conversation.clone(),
                source: MessageSource::Hook,
                utterance: said,
                prompt: None,
                past: false,
            },
            Write::Usage {
                session: session.id,
                conversation: conversation.clone(),
                response: Box::new(Response {
                    message_id: Some(odd.clone()),
                    request_id: Some(odd.clone()),
                    model: odd.clone(),
                    ..super::usage::response("m", 1)
                }),
            },
            Write::AddMessage { message: Box::new(prompt), idempotency_key: Some(odd.clone()) },
            Write::Deliver { message: id, status: Delivery::Sending, error: Some(odd.clone()) },
            Write::AddPermission(Box::new(asked.clone())),
            Write::MatchPermission { request: asked.id, call: ToolUseId(odd.clone()) },
            Write::SavePermission(Box::new(SettledPermission {
                request: settled,
                interrupts: false,
            })),
            Write::AddRule(Box::new(rule(&session, &odd, &odd))),
            Write::Event(event),
        ];
        writes.extend(twice);
        let made = write(db, writes).await;
        let tools = made.iter().filter(|e| e.event.kind == EventKind::ToolUse).count();
        let hooks = made.iter().filter(|e| e.event.kind == EventKind::Hook).count();
        assert_eq!((tools, hooks), (1, 1));
        let whole = logs::output(db, session.id, &ToolUseId(odd.clone())).await.expect("read");
        assert!(whole.is_some_and(|text| !text.contains('\0') && text.contains('\u{fffd}')));
        let sent = messages::by_idempotency_key(db, session.id, &odd).await.expect("read");
        assert_eq!(sent.map(|o| o.message.id), Some(id));
        let found = sessions::by_idempotency_key(db, &odd).await.expect("read");
        assert_eq!(found, sessions::by_name(db, &odd).await.expect("read"));
        let filter =
            logs::Filter { tool: Some(odd.clone()), status: Some(odd.clone()), text: Some(odd) };
        logs::list(db, session.id, &filter, Order::Oldest, None, 10).await.expect("a list");
    }
}
