//! `chorus serve`: listeners, lifecycle, and who else is there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::api::auth::{NoDelay, Peer};
use crate::config::{DataDir, Loaded};
use crate::services::metrics::Metrics;
use crate::services::{App, database, projects, recover};
use crate::{api, web};

/// How many ports after the usual one are tried.
const PORTS: u16 = 100;
/// How often a data folder's lock is tried again before its holder is believed to be alive.
const LOCK_TRIES: u32 = 15;
/// How long running requests may take to end at a shutdown.
const GRACE: Duration = Duration::from_secs(3);

/// Where a running server is: the content of `server.json` in its data folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Its address for browsers.
    pub url: String,
    /// Its Unix socket.
    pub socket: PathBuf,
    /// Its version.
    pub version: String,
}

impl Running {
    /// Reads where the server of a data folder is, if one was started there.
    pub fn find(data: &DataDir) -> Option<Self> {
        serde_json::from_slice(&fs::read(file(data)).ok()?).ok()
    }
}

fn file(data: &DataDir) -> PathBuf {
    data.0.join("server.json")
}

/// Runs the server until it is told to stop.
pub async fn run(loaded: Loaded) -> Result<()> {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // From here on a signal is waited for: whoever was told the address may send one at once.
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let data = DataDir(loaded.config.data_dir.clone());
    make_folders(&data)?;
    let _lock = lock(&data)?;
    let db = database::open(&loaded).await?;
    let config = &loaded.config;
    let secret = secret(&data)?;
    let program = std::env::current_exe().context("this program's own path")?;
    let tcp = bind(&config.host, config.port, loaded.port_is_fixed()).await?;
    let address = tcp.local_addr()?;
    let unix = bind_unix(&data.socket())?;
    let log = bind_log(&data).await?;
    let app = App::start(loaded, db, secret, program, Metrics::new()?).await?;
    app.set_receiver(log.local_addr()?);
    let running = Running {
        pid: std::process::id(),
        url: format!("http://{address}"),
        socket: data.socket(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    app.notices.serve_at(&running.url);
    announce(&data, &running)?;
    tracing::info!(url = %running.url, data = %data.0.display(), "Chorus {} serves {}", running.version, running.url);
    let router = router(app.clone());
    let background = app.clone();
    app.tasks.spawn(async move {
        if let Err(e) = projects::default(&background).await {
            tracing::warn!(error = %e, "there is no default project");
        }
        recover::run(&background).await;
    });
    let logs = axum::serve(NoDelay(log), api::telemetry::router(app.clone()));
    let stop = app.shutdown.clone().cancelled_owned();
    app.tasks.spawn(async move { logs.with_graceful_shutdown(stop).await });
    serve(&app, router, tcp, unix, signals).await?;
    let _ = fs::remove_file(file(&data));
    let _ = fs::remove_file(data.socket());
    tracing::info!("Chorus has stopped; the sessions run on");
    Ok(())
}

/// All routes, with the checks around them.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(api::router(&app))
        .merge(web::router())
        .fallback(api::nothing_here)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(axum::middleware::from_fn_with_state(app.clone(), api::auth::guard))
        // Probes come from anywhere on this machine and learn whether the server lives, and its version.
        .merge(api::operations::probes())
        .layer(axum::middleware::from_fn_with_state(app.clone(), api::trace::trace))
        .with_state(app)
}

async fn serve(
    app: &Arc<App>,
    router: Router,
    tcp: TcpListener,
    unix: UnixListener,
    (mut terminate, mut interrupt): (Signal, Signal),
) -> Result<()> {
    let service = router.into_make_service_with_connect_info::<Peer>();
    let stop = || {
        let shutdown = app.shutdown.clone();
        async move { shutdown.cancelled().await }
    };
    let tcp = axum::serve(NoDelay(tcp), service.clone()).with_graceful_shutdown(stop());
    let unix = axum::serve(unix, service).with_graceful_shutdown(stop());
    let mut both =
        tokio::spawn(async move { tokio::try_join!(tcp.into_future(), unix.into_future()) });
    tokio::select! {
        ended = &mut both => { ended??; }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    app.shutdown.cancel();
    app.tasks.close();
    let quiet = async {
        let _ = both.await;
        app.tasks.wait().await;
    };
    if timeout(GRACE, quiet).await.is_err() {
        tracing::debug!("some requests were cut off");
    }
    app.db.close().await;
    Ok(())
}

fn make_folders(data: &DataDir) -> Result<()> {
    for dir in [data.0.clone(), data.spool(), data.launches()] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("cannot make {}", dir.display()))?;
    }
    // Terminals, prompts and tokens are in there.
    fs::set_permissions(&data.0, fs::Permissions::from_mode(0o700))?;
    if let Some(dir) = data.socket().parent().filter(|dir| *dir != data.0) {
        make_own(dir)?;
    }
    // Plans of launches that never happened hold secrets.
    for entry in fs::read_dir(data.launches())?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "json") {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Makes the folder of sockets that have no room in the data folder. It may lie where everybody can make
/// one: whoever owns it decides what listens there.
fn make_own(dir: &Path) -> Result<()> {
    let cannot = || format!("cannot make {}", dir.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(cannot)?;
    let meta = fs::symlink_metadata(dir).with_context(cannot)?;
    let ours = meta.uid() == rustix::process::getuid().as_raw();
    if meta.is_dir() && ours && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    bail!(
        "{} is not a folder of this user's alone, so no socket can be put there. If it is yours, make it so \
         (`chmod 700`); else choose a shorter --data-dir, or have XDG_RUNTIME_DIR name a folder of your own",
        dir.display()
    )
}

/// Keeps every other server off this data folder. The kernel lets go when this process ends.
pub fn lock(data: &DataDir) -> Result<File> {
    let path = data.lock();
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    let mut locked = file.try_lock();
    // A child that a killed server was just starting holds its lock until it has become another
    // program.
    for _ in 0..LOCK_TRIES {
        if !matches!(locked, Err(fs::TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => match Running::find(data) {
            Some(other) => bail!(
                "a server is running already on {}: pid {}, {}. Use that one, end it with `chorus stop`, or choose another --data-dir",
                data.0.display(),
                other.pid,
                other.url
            ),
            None => bail!("another server is just starting on {}", data.0.display()),
        },
        Err(fs::TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// The secret that hook tokens are derived from.
fn secret(data: &DataDir) -> Result<[u8; 32]> {
    let path = data.0.join("secret");
    if let Ok(bytes) = fs::read(&path)
        && let Ok(secret) = bytes.try_into()
    {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    secret[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    write_whole(&path, &secret)?;
    Ok(secret)
}

/// Writes a file of ours in one step, for this user only.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(content)?;
    fs::rename(part, path)
}

fn announce(data: &DataDir, running: &Running) -> Result<()> {
    write_whole(&file(data), &serde_json::to_vec_pretty(running)?)?;
    Ok(())
}

async fn bind(host: &str, port: u16, fixed: bool) -> Result<TcpListener> {
    let ip: IpAddr = if host == "localhost" { [127, 0, 0, 1].into() } else { host.parse()? };
    let last = if fixed || port == 0 { port } else { port.saturating_add(PORTS) };
    for port in port..=last {
        match TcpListener::bind(SocketAddr::new(ip, port)).await {
            Ok(listener) => return Ok(listener),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && port < last => {}
            Err(e) => {
                return Err(e).with_context(|| {
                    format!("cannot listen on {host}:{port}; choose another --port")
                });
            }
        }
    }
    bail!("no free port from {port} to {last}; choose one with --port")
}

/// Listens for Claude Code's logs, at the same port as before: what runs has been told that one. If it
/// is taken, the costs of what runs are estimated until it is started again.
async fn bind_log(data: &DataDir) -> Result<TcpListener> {
    let file = data.log_port();
    let before: Option<u16> = fs::read_to_string(&file).ok().and_then(|p| p.trim().parse().ok());
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    if let Some(port) = before {
        match TcpListener::bind(loopback(port)).await {
            Ok(listener) => return Ok(listener),
            Err(e) => tracing::warn!(
                port,
                error = %e,
                "port {port}, at which running Claudes tell what they cost, cannot be had; their costs are estimated until they are restarted"
            ),
        }
    }
    let listener =
        TcpListener::bind(loopback(0)).await.context("no port for Claude Code's logs")?;
    let port = listener.local_addr()?.port();
    write_whole(&file, port.to_string().as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(listener)
}

/// Listens on the Unix socket. The lock is ours, so a socket that is there is a dead server's.
fn bind_unix(path: &Path) -> Result<UnixListener> {
    let _ = fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
