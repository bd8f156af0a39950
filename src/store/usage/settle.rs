//! Settling: at its end, Claude Code says what a conversation cost in all.

use super::{Sums, move_sums, spending};
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::record::{Total, Usage};
use crate::domain::time::Day;
use crate::domain::usage::{Spending, Usd};
use crate::store::{Result, Tx, key, on};

/// What is known of a conversation's responses by one model within one session, by day: it may have begun
/// in another.
pub(super) const BY_DAY: &str = "SELECT responded_at / 86400000, MAX(message_id), COUNT(*), \
     CAST(SUM(CASE WHEN told_nanos IS NULL AND estimated_nanos IS NULL THEN 1 ELSE 0 END) AS BIGINT), \
     CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(output_tokens) AS BIGINT), \
     CAST(SUM(cache_creation_input_tokens) AS BIGINT), CAST(SUM(cache_read_input_tokens) AS BIGINT), \
     CAST(SUM(COALESCE(told_nanos, 0)) AS BIGINT), \
     CAST(SUM(CASE WHEN told_nanos IS NULL THEN COALESCE(estimated_nanos, 0) ELSE 0 END) AS BIGINT) \
     FROM token_usage WHERE conversation_id = $1 AND model = $2 AND session_id = $3 \
     GROUP BY responded_at / 86400000 ORDER BY responded_at / 86400000";
pub(super) const TELL: &str = "UPDATE token_usage SET told_nanos = COALESCE(estimated_nanos, 0) \
     WHERE conversation_id = $1 AND model = $2 AND session_id = $3 AND told_nanos IS NULL";
pub(super) const CORRECT: &str = "UPDATE token_usage SET told_nanos = told_nanos + $3 \
     WHERE conversation_id = $1 AND message_id = $2";

/// Takes Claude Code's word for the cost of those responses that were estimated or had no price.
///
/// It is taken if it is about the very responses that are known, as the tokens tell: a fork's sum
/// has its original's in it, and other sums have what was never told. What it says beyond the estimates,
/// or less, is put to the last response.
pub(in crate::store) async fn settle(
    tx: &mut Tx,
    session: SessionId,
    conversation: &ConversationId,
    total: &Total,
) -> Result<()> {
    let (conversation, model) = (key(&conversation.0), crate::store::text(&total.model));
    type Line = (i64, String, i64, i64, i64, i64, i64, i64, i64, i64);
    let lines: Vec<Line> = on!(write tx, c => sqlx::query_as(BY_DAY)
        .bind(&conversation).bind(&model).bind(session.to_string()).fetch_all(c).await?);
    let days: Vec<(Day, String, Spending)> = lines
        .into_iter()
        .map(|l| {
            let sums: Sums = (l.2, l.3, l.4, l.5, l.6, l.7, l.8, l.9);
            (Day(l.0), l.1, spending(sums))
        })
        .collect();
    let all = |part: fn(&Spending) -> i64| days.iter().map(|(_, _, day)| part(day)).sum::<i64>();
    let known = Usage {
        input_tokens: all(|day| day.tokens.input_tokens),
        output_tokens: all(|day| day.tokens.output_tokens),
        cache_creation_input_tokens: all(|day| day.tokens.cache_creation_input_tokens),
        cache_read_input_tokens: all(|day| day.tokens.cache_read_input_tokens),
    };
    let open = all(|day| day.unpriced) > 0 || all(|day| day.estimated.0) > 0;
    let Some((last, message, _)) = days.last().filter(|_| open && known == total.usage) else {
        return Ok(());
    };
    let difference = total.cost.0 - all(|day| day.total().0);
    on!(execute tx, sqlx::query(TELL)
        .bind(&conversation).bind(&model).bind(session.to_string()));
    on!(execute tx, sqlx::query(CORRECT).bind(&conversation).bind(message).bind(difference));
    for (day, _, before) in &days {
        let correction = if day == last { difference } else { 0 };
        let after = Spending {
            unpriced: 0,
            told: Usd(before.total().0 + correction),
            estimated: Usd(0),
            ..*before
        };
        move_sums(tx, session, &total.model, *day, before, &after).await?;
    }
    Ok(())
}
