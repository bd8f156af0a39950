//! `chorus permissions`, `approve` and `deny`.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

use super::args::{Approve, Deny, Many};
use super::client::Client;
use super::commands::{MOST, path};
use super::exit::{Exit, OrExit as _};
use super::show;
use crate::api::permissions::{Answer, AnswerToMany, Outcomes};
use crate::api::rules::{MadeRule, Proposal};
use crate::api::sessions::SessionView;
use crate::domain::permission::{PermissionRequest, PermissionStatus, Verdict};
use crate::domain::question;

/// What is said where there is nothing to decide.
const NOTHING: &str = "nothing waits for a decision";

/// Lists requests.
pub async fn list(client: &Client, all: bool, json: bool) -> Result<()> {
    let filter = if all { "" } else { "?status=pending" };
    let mut requests: Vec<PermissionRequest> =
        client.list(&format!("/api/permissions{filter}"), MOST).await?;
    requests.reverse();
    let sessions: Vec<SessionView> = client.list("/api/sessions?sort=created_at", MOST).await?;
    show::permissions(&requests, &sessions, json)
}

/// Approves one, or many.
pub async fn approve(client: &Client, approve: Approve, json: bool) -> Result<Exit> {
    let Approve { which, for_session, input, answers, always, yes, many } = approve;
    let mut answer = Answer { for_session, ..Answer::plain(Verdict::Allow) };
    if many.all {
        if input.is_some() || !answers.is_empty() {
            return Err(Exit::Usage.error("--input and --answer are for one request"));
        }
        return decide_all(client, &many, answer, json).await;
    }
    let request = find(client, which).await?;
    if let Some(input) = input {
        let read = serde_json::from_str(&input);
        let read = read.context("--input must be a JSON object");
        answer.updated_input = Some(read.or_exit(Exit::Usage)?);
    }
    if !answers.is_empty() {
        answer.answers = Some(by_question(&request, &answers)?);
    }
    let rule = if always { Some(choose(client, &request, yes).await?) } else { None };
    let decided = decide(client, &request, &answer).await?;
    if let Some(proposal) = rule {
        let made: MadeRule = client.post("/api/permissions/rules", &proposal.rule).await?;
        let text = format!(
            "approved {}\nfrom now on: {} (rule {})",
            show::call(&decided),
            show::safe(&made.rule.words),
            made.rule.id
        );
        show::done(&text, &serde_json::json!({ "request": decided, "rule": made }), json)?;
    } else {
        show::done(&format!("approved {}", show::call(&decided)), &decided, json)?;
    }
    Ok(Exit::Ok)
}

/// Denies one, or many.
pub async fn deny(client: &Client, deny: Deny, json: bool) -> Result<Exit> {
    let Deny { which, message, interrupt, many } = deny;
    let answer = Answer { message, interrupt, ..Answer::plain(Verdict::Deny) };
    if many.all {
        return decide_all(client, &many, answer, json).await;
    }
    let request = find(client, which).await?;
    let decided = decide(client, &request, &answer).await?;
    show::done(&format!("denied {}", show::call(&decided)), &decided, json)?;
    Ok(Exit::Ok)
}

async fn decide(
    client: &Client,
    request: &PermissionRequest,
    answer: &Answer,
) -> Result<PermissionRequest> {
    client.post(&format!("/api/permissions/{}/respond", request.id), answer).await
}

/// Decides those that wait now: what comes in the meantime nobody has seen.
async fn decide_all(client: &Client, many: &Many, answer: Answer, json: bool) -> Result<Exit> {
    let mut waiting = pending(client, many.session.as_deref()).await?;
    waiting.reverse();
    waiting.retain(|r| many.tool.as_ref().is_none_or(|tool| *tool == r.tool));
    if waiting.is_empty() {
        return Err(Exit::NotFound.error(NOTHING));
    }
    let mut all = Outcomes { decided: 0, failed: 0, results: Vec::new() };
    for some in waiting.chunks(500) {
        let body = AnswerToMany {
            ids: some.iter().map(|r| r.id).collect(),
            session: None,
            tool: None,
            decision: answer.decision,
            message: answer.message.clone(),
            interrupt: answer.interrupt,
            for_session: answer.for_session,
        };
        let outcomes: Outcomes = client.post("/api/permissions/respond", &body).await?;
        all.decided += outcomes.decided;
        all.failed += outcomes.failed;
        all.results.extend(outcomes.results);
    }
    let verb = if answer.decision == Verdict::Allow { "approved" } else { "denied" };
    let mut lines = Vec::new();
    for result in &all.results {
        let call = waiting.iter().find(|r| r.id == result.id).map(show::call).unwrap_or_default();
        lines.push(match &result.problem {
            None => format!("{verb} {call}"),
            Some(problem) => {
                format!("not {verb}: {} {call}\n    {}", result.id, show::safe(&problem.detail))
            }
        });
    }
    show::done(&lines.join("\n"), &all, json)?;
    Ok(if all.failed == 0 { Exit::Ok } else { Exit::Failed })
}

async fn pending(client: &Client, session: Option<&str>) -> Result<Vec<PermissionRequest>> {
    let mut filter = format!("/api/permissions?status={}", PermissionStatus::Pending);
    if let Some(session) = session {
        path(session, "")?;
        filter.push_str(&format!("&session={session}"));
    }
    client.list(&filter, MOST).await
}

/// The request that is named, or that has waited longest, of a session or of all.
async fn find(client: &Client, which: Option<String>) -> Result<PermissionRequest> {
    let mut requests = match &which {
        Some(id) if uuid::Uuid::parse_str(id).is_ok() => {
            match client.get(&format!("/api/permissions/{id}")).await {
                // Sessions have ids of this kind too.
                Err(e) if Exit::of(&e) == Exit::NotFound => {
                    pending(client, which.as_deref()).await.map_err(|_| e)?
                }
                request => return request,
            }
        }
        _ => pending(client, which.as_deref()).await?,
    };
    if which.is_none() && requests.len() > 1 {
        return Err(Exit::Usage.error(format!(
            "{} requests wait; name one of them or its session (`chorus permissions` lists them)",
            requests.len()
        )));
    }
    requests.pop().ok_or_else(|| Exit::NotFound.error(NOTHING))
}

/// Finds the questions that answers belong to: `QUESTION=ANSWER`, where the beginning of the
/// question is enough, or just the answer if there is only one. The same question again adds a
/// choice.
fn by_question(request: &PermissionRequest, answers: &[String]) -> Result<Map<String, Value>> {
    let asked = question::questions(&request.tool, &request.input);
    if asked.is_empty() {
        let text = format!("this request asks no question: {}", show::safe(&request.summary));
        return Err(Exit::Usage.error(text));
    }
    let mut by_question: Map<String, Value> = Map::new();
    for answer in answers {
        // A question may hold a `=` itself, so its text is looked for and not cut out.
        let named = asked.iter().find_map(|q| {
            let rest = answer.strip_prefix(&q.question)?;
            Some((q, rest.strip_prefix('=')?))
        });
        let begun = || {
            let (start, rest) = answer.split_once('=')?;
            let start = start.trim_end_matches('…');
            let mut fitting =
                asked.iter().filter(|q| !start.is_empty() && q.question.starts_with(start));
            Some((fitting.next().filter(|_| fitting.next().is_none())?, rest))
        };
        let only = || match asked.as_slice() {
            [only] => Some((only, answer.as_str())),
            _ => None,
        };
        let Some((q, text)) = named.or_else(begun).or_else(only) else {
            return Err(Exit::Usage.error(format!(
                "which question does {answer:?} answer? Asked is: {}",
                show::safe(&question::listing(&asked))
            )));
        };
        let texts = by_question.entry(q.question.clone()).or_insert_with(|| Value::Array(vec![]));
        if let Value::Array(texts) = texts {
            texts.push(text.into());
        }
    }
    Ok(by_question)
}

/// Shows what "always" would mean, and lets somebody choose, unless they have agreed already to the
/// narrowest.
async fn choose(client: &Client, request: &PermissionRequest, yes: bool) -> Result<Proposal> {
    let mut proposals: Vec<Proposal> =
        client.get(&format!("/api/permissions/{}/rules", request.id)).await?;
    if proposals.is_empty() {
        let text = "plans and questions are decided one by one: no rule allows them";
        return Err(Exit::Refused.error(text));
    }
    eprintln!("{}", show::call(request));
    for (n, proposal) in proposals.iter().enumerate() {
        eprintln!("{}  {}", n + 1, show::safe(&proposal.words));
    }
    if yes {
        return Ok(proposals.swap_remove(0));
    }
    if !std::io::stdin().is_terminal() {
        let text = "nothing was decided; --yes makes the first of these rules without asking";
        return Err(Exit::Usage.error(text));
    }
    eprint!("which rule is to be made? [1] ");
    std::io::stderr().flush()?;
    let mut said = String::new();
    std::io::stdin().read_line(&mut said)?;
    let n: usize = match said.trim() {
        "" if said.ends_with('\n') => 1,
        said => said.parse().ok().context("nothing was decided")?,
    };
    let at = n.checked_sub(1).filter(|at| *at < proposals.len()).context("nothing was decided")?;
    Ok(proposals.swap_remove(at))
}
