//! The running server.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime;
use tokio::sync::oneshot;

use crate::http::{Shared, router};
use crate::record::{Recorded, Request};
use crate::script::Script;

/// Connections that may wait to be accepted: many sessions may start at the same moment.
const BACKLOG: u32 = 4_096;

/// Where and how a [`ScriptedModel`] runs.
#[derive(Debug)]
pub struct Options {
    /// The address to listen on: loopback only. Port 0 takes a free port.
    pub addr: SocketAddr,
    /// A file that gets every whole request as one line of JSON: the fields of [`Recorded`],
    /// the body as JSON, keys and tokens hidden. Lines are written before the answer starts.
    pub log: Option<File>,
}

impl Default for Options {
    /// A free port of 127.0.0.1, without a log.
    fn default() -> Self {
        Self { addr: (Ipv4Addr::LOCALHOST, 0).into(), log: None }
    }
}

/// A running scripted model.
///
/// It runs on a thread and a runtime of its own, so it needs no runtime of the caller's and
/// answers even while that one is blocked. Dropping it ends it: every connection is closed,
/// in the middle of an answer too.
#[derive(Debug)]
pub struct ScriptedModel {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// Dropped to end the server.
    stop: oneshot::Sender<()>,
    /// Ends when the server has.
    stopped: oneshot::Receiver<()>,
}

impl ScriptedModel {
    /// Starts on a free port of 127.0.0.1. When this returns, connections are accepted.
    ///
    /// # Errors
    ///
    /// When no port, thread or runtime can be had.
    pub fn start(script: Script) -> io::Result<Self> {
        Self::start_with(Options::default(), script)
    }

    /// Starts on this loopback address; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// As [`ScriptedModel::start_with`].
    pub fn start_on(addr: SocketAddr, script: Script) -> io::Result<Self> {
        Self::start_with(Options { addr, log: None }, script)
    }

    /// Starts as `options` say.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for an address that is not loopback (the stand-in
    /// answers anyone who asks); any other error when the address is taken, or no thread or
    /// runtime can be had.
    pub fn start_with(options: Options, script: Script) -> io::Result<Self> {
        if !options.addr.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is not a loopback address", options.addr.ip()),
            ));
        }
        let shared = Arc::new(Shared::new(script, options.log));
        let served = Arc::clone(&shared);
        let (bound, binding) = mpsc::sync_channel(1);
        let (stop, stopping) = oneshot::channel();
        let (ended, stopped) = oneshot::channel();
        thread::Builder::new().name("scripted-model".to_owned()).spawn(move || {
            run(options.addr, served, &bound, stopping);
            // Nobody waits when the owner was simply dropped.
            let _ = ended.send(());
        })?;
        // Binding is the first thing the thread does, and it does not wait for anything.
        let addr = binding.recv().map_err(io::Error::other)??;
        Ok(Self { addr, shared, stop, stopped })
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Its base address, `http://127.0.0.1:PORT`: the value for `ANTHROPIC_BASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests to `/v1/messages` so far, oldest first; the newest
    /// [`REQUESTS_KEPT`](crate::REQUESTS_KEPT).
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.records.requests()
    }

    /// All requests with their whole bodies, whatever their address, oldest first; the newest
    /// [`BODIES_KEPT`](crate::BODIES_KEPT). Only `/healthz` and `/requests` are not recorded.
    #[must_use]
    pub fn bodies(&self) -> Vec<Arc<Recorded>> {
        self.shared.records.bodies()
    }

    /// Ends the server, in the middle of answers too, and waits until its port is free and
    /// its log is written.
    pub async fn shutdown(self) {
        drop(self.stop);
        // An error would only say that the thread is gone, which is what is waited for.
        let _ = self.stopped.await;
    }
}

/// Serves until the other end of `stopping` is dropped; first of all tells `bound` the address
/// it listens on, or why there is none.
///
/// The runtime lives and ends in here, on the server's own thread: tokio forbids dropping one
/// where the caller may be async itself. Its end closes all connections, whatever they wait for.
fn run(
    addr: SocketAddr,
    shared: Arc<Shared>,
    bound: &SyncSender<io::Result<SocketAddr>>,
    stopping: oneshot::Receiver<()>,
) {
    let mut builder = runtime::Builder::new_current_thread();
    // The only blocking work is the log, whose lines are written one after another anyway.
    let runtime = match builder.max_blocking_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(bound, Err(error)),
    };
    runtime.block_on(async {
        let listener = match listen(addr) {
            Ok(listener) => listener,
            Err(error) => return tell(bound, Err(error)),
        };
        tell(bound, listener.local_addr());
        tokio::select! {
            () = serve(listener, shared) => {}
            _ = stopping => {}
        }
    });
}

fn tell(bound: &SyncSender<io::Result<SocketAddr>>, result: io::Result<SocketAddr>) {
    // The other end waits for exactly this, so it is there.
    let _ = bound.send(result);
}

/// Must be called within a runtime.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server can take the port its predecessor has just left.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let listener = listener.tap_io(|connection| {
        // Small paced pieces must leave at once; where that cannot be set they are just late.
        let _ = connection.set_nodelay(true);
    });
    if let Err(error) = axum::serve(listener, router(shared)).await {
        eprintln!("scripted-model: {error}");
    }
}
