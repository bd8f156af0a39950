//! Which prompt an utterance is, and whose a conversation is.

use super::{begin, outgoing, project, session, utterance, write};
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::message::{Delivery, MessageSource};
use crate::domain::record::Utterance;
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::store::{Db, Write, conversations, messages};

fn say(session: &Session, key: &str, text: &str, agent: Option<&str>) -> Write {
    Write::Say {
        session: session.id,
        conversation: ConversationId("c".into()),
        source: MessageSource::Terminal,
        utterance: Utterance { agent_id: agent.map(str::to_owned), ..utterance(key, text) },
        prompt: Some(crate::domain::prompt::digest(text)),
        past: false,
    }
}

/// A prompt that was sent, and what became of it.
async fn sent(db: &Db, session: &Session, text: &str, status: Delivery) -> MessageId {
    let prompt = outgoing(session, text);
    let message = prompt.message.id;
    let add = Write::AddMessage { message: Box::new(prompt), idempotency_key: None };
    write(db, vec![add, Write::Deliver { message, status, error: None }]).await;
    message
}

pub(super) async fn a_prompt_that_did_not_arrive_is_claimed_by_none_and_may_be_taken_back(db: &Db) {
    let session = begin(db).await;
    let lost = sent(db, &session, "go", Delivery::Undelivered).await;
    let again = sent(db, &session, "go", Delivery::Delivered).await;
    write(db, vec![say(&session, "k1", "go", None)]).await;
    let status = async |id| {
        let message = messages::by_id(db, id).await.expect("read").expect("a message").message;
        (message.delivery_status, message.conversation_id.is_some())
    };
    assert_eq!(status(lost).await, (Some(Delivery::Undelivered), false));
    assert_eq!(status(again).await, (Some(Delivery::Delivered), true));
    // The next one is somebody's who typed it.
    assert_eq!(write(db, vec![say(&session, "k2", "go", None)]).await.len(), 1);
    assert_eq!(status(lost).await, (Some(Delivery::Undelivered), false));

    let told = write(db, vec![Write::TakeBack(lost), say(&session, "k3", "go", None)]).await;
    let [event] = &told[..] else { panic!("{told:?}") };
    assert!(event.event.data.contains(r#""delivery_status":"delivered""#), "{event:?}");
    assert_eq!(status(lost).await, (Some(Delivery::Delivered), true));
    assert_eq!(write(db, vec![Write::TakeBack(lost)]).await, [], "it is no news");
}

pub(super) async fn a_conversation_moves_to_the_session_that_goes_on_with_it(db: &Db) {
    let mut one = begin(db).await;
    let other = session(&project("q", "/q"), "t");
    let mut other = Session { project_id: one.project_id, ..other };
    let new = Write::AddSession { session: Box::new(other.clone()), idempotency_key: None };
    let id = ConversationId("c".into());
    let starts = |session: &Session| Write::StartConversation {
        id: id.clone(),
        session: session.id,
        transcript: None,
        at: Timestamp(6),
    };
    let owner = async || conversations::by_id(db, &id).await.expect("read").expect("it").session_id;
    write(db, vec![new, starts(&one), starts(&other)]).await;
    assert_eq!(owner().await, one.id, "it still runs");
    one.hidden = true;
    write(db, vec![Write::SaveSession(Box::new(one.clone()))]).await;
    write(db, vec![starts(&other)]).await;
    assert_eq!(owner().await, other.id);
    other.hidden = true;
    write(db, vec![Write::SaveSession(Box::new(other.clone()))]).await;
    write(db, vec![starts(&other)]).await;
    assert_eq!(owner().await, other.id);
}

pub(super) async fn what_was_said_last_is_no_prompt_that_waits(db: &Db) {
    let session = begin(db).await;
    assert_eq!(messages::last_said(db, session.id).await.expect("read"), None);
    write(db, vec![say(&session, "k1", "one", None), say(&session, "k2", "two", None)]).await;
    write(db, vec![say(&session, "k3", "a helper's", Some("helper"))]).await;
    for status in [Delivery::Queued, Delivery::Sending, Delivery::Undelivered] {
        sent(db, &session, "later", status).await;
    }
    let last = messages::last_said(db, session.id).await.expect("read");
    assert_eq!(last.map(|m| m.content).as_deref(), Some("two"));
}
