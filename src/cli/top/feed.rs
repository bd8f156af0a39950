//! What the server tells: everything once, and from then on what happens.

use std::collections::HashMap;

use anyhow::Result;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::state::{News, Snapshot};
use crate::api::sessions::SessionView;
use crate::cli::client::Client;
use crate::cli::follow::Follow;
use crate::cli::show;
use crate::domain::ids::{ProjectId, SessionId};
use crate::domain::message::Direction;
use crate::domain::permission::PermissionRequest;
use crate::domain::project::Project;
use crate::domain::record::Message;

/// Sessions and requests that are listed at most.
const MOST: usize = 1_000;
/// Sessions whose last words are looked up at most.
const LAST_WORDS: usize = 200;

/// The way from the server to the model.
pub struct Feed {
    client: Client,
    follow: Follow,
    /// Looks up last words, beside.
    beside: JoinSet<()>,
}

/// Begins to listen, before anything is read: so nothing is missed.
pub async fn begin(client: &Client) -> Result<Feed> {
    let follow = Follow::begin(client, None, None).await?;
    Ok(Feed { client: client.clone(), follow, beside: JoinSet::new() })
}

impl Feed {
    /// Tells all there is and all that happens, as long as somebody listens.
    pub async fn run(mut self, news: Sender<News>) {
        // Set anew when the stream has left something out.
        let mut whole = true;
        loop {
            if whole {
                match snapshot(&self.client).await {
                    Ok(all) => {
                        self.look_up_last_words(&all, &news);
                        if news.send(News::Snapshot(Box::new(all))).await.is_err() {
                            return;
                        }
                        whole = false;
                    }
                    Err(e) => {
                        if self.come_back(format!("{e:#}"), &news).await.is_err() {
                            return;
                        }
                        continue;
                    }
                }
            }
            let told = match self.follow.next().await {
                Some(event) if event.kind == "reset" => {
                    whole = true;
                    continue;
                }
                Some(event) => news.send(News::Event(event)).await.map_err(|_| ()),
                None => {
                    let why = "the server went away; `chorus serve` starts it again".to_owned();
                    self.come_back(why, &news).await
                }
            };
            if told.is_err() {
                return;
            }
        }
    }

    /// Waits until the server is back. It tells then what was missed.
    async fn come_back(&mut self, why: String, news: &Sender<News>) -> Result<(), ()> {
        news.send(News::Offline(why)).await.map_err(|_| ())?;
        self.follow.again(None).await.map_err(|_| ())?;
        news.send(News::Online).await.map_err(|_| ())
    }

    fn look_up_last_words(&mut self, all: &Snapshot, news: &Sender<News>) {
        self.beside.abort_all();
        let listed = all.sessions.iter().filter(|s| show::is_listed(s)).take(LAST_WORDS);
        let ids: Vec<SessionId> = listed.map(|s| s.id).collect();
        let (client, news) = (self.client.clone(), news.clone());
        self.beside.spawn(async move {
            for id in ids {
                let path = format!("/api/sessions/{id}/messages?sort=newest&limit=1");
                let Ok(said) = client.get::<Vec<Message>>(&path).await else { return };
                let Some(last) = said.first() else { continue };
                let who = if last.direction == Direction::User { "you: " } else { "" };
                let text = format!("{who}{}", last.content);
                if news.send(News::Last(id, text)).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn snapshot(client: &Client) -> Result<Snapshot> {
    let sessions: Vec<SessionView> = client.list("/api/sessions?sort=created_at", MOST).await?;
    let requests: Vec<PermissionRequest> =
        client.list("/api/permissions?status=pending", MOST).await?;
    Ok(Snapshot {
        more: sessions.len() == MOST || requests.len() == MOST,
        projects: projects(client).await?,
        sessions,
        requests,
    })
}

/// The projects' names.
pub async fn projects(client: &Client) -> Result<HashMap<ProjectId, String>> {
    let projects: Vec<Project> = client.get("/api/projects").await?;
    Ok(projects.into_iter().map(|p| (p.id, p.name)).collect())
}
