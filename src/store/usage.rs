//! Tokens, once for each response of the model.

use super::{Db, Result, Tx, key, on, text};
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::record::Usage;

const ADD: &str = "INSERT INTO token_usage (conversation_id, message_id, session_id, model, \
     input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (conversation_id, message_id) DO UPDATE SET \
     output_tokens = CASE WHEN excluded.output_tokens > token_usage.output_tokens \
     THEN excluded.output_tokens ELSE token_usage.output_tokens END";
const TOTAL: &str = "SELECT CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT), \
     CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT), \
     CAST(COALESCE(SUM(cache_creation_input_tokens), 0) AS BIGINT), \
     CAST(COALESCE(SUM(cache_read_input_tokens), 0) AS BIGINT) \
     FROM token_usage WHERE session_id = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[ADD, TOTAL];

/// Adds up a session's tokens.
pub async fn total(db: &Db, session: SessionId) -> Result<Usage> {
    let (input, output, creation, read): (i64, i64, i64, i64) =
        on!(read db, c => sqlx::query_as(TOTAL).bind(session.to_string()).fetch_one(c).await?);
    Ok(Usage {
        input_tokens: input,
        output_tokens: output,
        cache_creation_input_tokens: creation,
        cache_read_input_tokens: read,
    })
}

pub(super) async fn add(
    tx: &mut Tx,
    session: SessionId,
    conversation: &ConversationId,
    message_id: &str,
    model: &str,
    u: &Usage,
) -> Result<()> {
    on!(execute tx, sqlx::query(ADD)
        .bind(key(&conversation.0)).bind(key(message_id)).bind(session.to_string()).bind(text(model))
        .bind(u.input_tokens).bind(u.output_tokens)
        .bind(u.cache_creation_input_tokens).bind(u.cache_read_input_tokens));
    Ok(())
}
