//! Who may do what: the checks that stand before every request.
//!
//! In `auth = "local"` there is no key. A request is served if its peer is a process of the user
//! who runs the server, which the kernel tells; if it came under one of our names, which keeps out
//! pages that rebind their own name to loopback; and if no foreign page sent it. Whatever changes
//! something is besides refused to the Claudes that Chorus runs and their children: an agent must
//! not approve itself.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::problem::Problem;
use crate::process;
use crate::services::App;
use crate::services::error::Error;

/// How often the process table is looked at if it does not show who a caller is.
const LOOKS: u32 = 3;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    end: End,
    /// The verdict on the user, reached once for each connection.
    same_user: OnceLock<bool>,
}

#[derive(Debug)]
enum End {
    Unix { uid: Option<u32>, pid: Option<u32> },
    Tcp { here: Option<SocketAddr>, there: SocketAddr },
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let cred = stream.io().peer_cred().ok();
        let pid = cred.as_ref().and_then(|c| c.pid()).and_then(|p| u32::try_from(p).ok());
        Self::new(End::Unix { uid: cred.map(|c| c.uid()), pid })
    }
}

/// A TCP listener whose connections send small answers at once.
pub struct NoDelay(pub TcpListener);

impl Listener for NoDelay {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        // Without it an answer only waits a little.
        let _ = stream.set_nodelay(true);
        (stream, peer)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, NoDelay>> for Peer {
    fn connect_info(stream: IncomingStream<'_, NoDelay>) -> Self {
        let here = stream.io().local_addr().ok();
        Self::new(End::Tcp { here, there: *stream.remote_addr() })
    }
}

impl Peer {
    fn new(end: End) -> Self {
        Self(Arc::new(Inner { end, same_user: OnceLock::new() }))
    }

    fn is_unix(&self) -> bool {
        matches!(self.0.end, End::Unix { .. })
    }

    /// Whether the process at the other end was started by this one. Only of a Unix socket does the
    /// kernel keep who connected to it.
    pub(super) fn is_child_of(&self, parent: u32) -> bool {
        match self.0.end {
            End::Unix { pid: Some(pid), .. } => process::parent(pid) == Some(parent),
            End::Unix { pid: None, .. } | End::Tcp { .. } => false,
        }
    }

    fn is_same_user(&self) -> bool {
        *self.0.same_user.get_or_init(|| {
            let uid = match &self.0.end {
                End::Unix { uid, .. } => *uid,
                End::Tcp { here, there } => here
                    .and_then(|here| process::peer_of_tcp(here, *there))
                    .map(|socket| socket.uid),
            };
            uid == Some(rustix::process::getuid().as_raw())
        })
    }

    /// The processes at the other end. Empty if they cannot be told.
    fn pids(&self) -> Vec<u32> {
        match &self.0.end {
            End::Unix { pid, .. } => pid.iter().copied().collect(),
            End::Tcp { here, there } => here
                .and_then(|here| process::peer_of_tcp(here, *there))
                .map(|socket| process::holders_of(socket.inode, socket.uid))
                .unwrap_or_default(),
        }
    }
}

/// The checks, as a layer around the whole API.
pub async fn guard(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    match check(&app, &peer, &parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn check(app: &App, peer: &Peer, request: &Parts) -> Result<(), Problem> {
    let forbidden = |why: &str| Problem::new(StatusCode::FORBIDDEN, why);
    if !peer.is_unix() {
        check_names(app, &request.headers)?;
    }
    if !peer.is_same_user() {
        return Err(forbidden(if process::KNOWS_PEERS || peer.is_unix() {
            "this server answers only to processes of the user who runs it (auth = \"local\")"
        } else {
            "this system does not tell whose a TCP connection is, so only the Unix socket is \
             answered: use the command line"
        }));
    }
    let reads = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    // Hooks come from Claude itself, and show their session's token.
    let hook = request.uri.path().starts_with("/api/hooks/");
    if reads || hook { Ok(()) } else { refuse_agent(app, peer).await }
}

/// Refuses the Claudes that Chorus knows and what they have started.
pub(super) async fn refuse_agent(app: &App, peer: &Peer) -> Result<(), Problem> {
    let claudes = app.claude_pids(|_| true).await.map_err(Error::from)?;
    if !is_below(peer, claudes).await? {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "this request comes from a Claude that Chorus runs, or from a program it started; \
         decisions and changes are for people",
    ))
}

/// Refuses hooks that show no token where there is one to show: below a Claude that Chorus runs. By its
/// conversation alone any of them could speak for another.
pub(super) async fn refuse_without_token(app: &App, peer: &Peer) -> Result<(), Problem> {
    let claudes = app.claude_pids(|session| !session.is_elsewhere()).await.map_err(Error::from)?;
    if !is_below(peer, claudes).await? {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "this hook comes from below a Claude that Chorus runs, and shows no token of its session's",
    ))
}

/// Checks `Host` against DNS rebinding and `Origin` against foreign pages.
fn check_names(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    if !is_ours(app, host) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "{host:?} is not a name of this server; add it to allowed_hosts if it should be"
            ),
        ));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let same = origin
            .to_str()
            .ok()
            .and_then(|o| o.strip_prefix("http://").or_else(|| o.strip_prefix("https://")))
            .is_some_and(|o| o == host);
        if !same {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "requests of other sites' pages are refused",
            ));
        }
    }
    Ok(())
}

fn is_ours(app: &App, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    // Names are the same in any case.
    let is = |known: &str| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(host);
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(|known| known.eq_ignore_ascii_case(name))
        || app.config.allowed_hosts.iter().any(|known| is(known))
}

/// Whether a request comes from below one of these Claudes, or from a session of ours. Who cannot be
/// told counts as one.
async fn is_below(peer: &Peer, claudes: HashSet<u32>) -> Result<bool, Problem> {
    let peer = peer.clone();
    // Looking through the process table takes system calls by the hundred. While processes come and
    // go it may show neither who has the connection nor who that is: then it is looked at again.
    let look = move || (0..LOOKS).find_map(|_| comes_from(&peer.pids(), &claudes)).unwrap_or(true);
    tokio::task::spawn_blocking(look).await.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the check of the caller failed")
    })
}

/// Whether one of the processes that hold a connection is a Claude of ours or was started by one.
/// Where no environment is ever told, descent alone says so. `None` if none of them is there any more: a child that is just being started holds what its parent
/// holds, for a moment.
fn comes_from(holders: &[u32], claudes: &HashSet<u32>) -> Option<bool> {
    let mut known = None;
    for &pid in holders {
        let is_agent = match process::environ_has(pid, "CHORUS_SESSION") {
            None if process::identify(pid).is_none() => continue,
            ours => {
                ours.unwrap_or(process::TELLS_ENVIRONMENTS)
                    || claudes.contains(&pid)
                    || process::ancestors(pid).iter().any(|a| claudes.contains(a))
            }
        };
        if is_agent {
            return Some(true);
        }
        known = Some(false);
    }
    known
}
