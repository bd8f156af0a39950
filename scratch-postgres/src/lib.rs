//! A PostgreSQL that lives as long as a test program, made from the installed server.
//!
//! ```ignore
//! let Some(database) = scratch_postgres::database(migrate).await else { return };
//! connect(database.url());
//! ```
//!
//! There is one cluster for each test program, and one database for each test. `CHORUS_TEST_POSTGRES_URL`
//! names a server to use instead; `CHORUS_TEST_POSTGRES=skip` does without, and says so. Whoever has
//! no PostgreSQL and does not say so is told what to install.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use sqlx::{Connection as _, PgConnection};
use tokio::sync::OnceCell;

/// Names the address of a database of a server on which databases may be made.
const EXISTING: &str = "CHORUS_TEST_POSTGRES_URL";

/// Makes a cluster, says `ready`, obeys `stop` and `start`, and removes everything when its input
/// ends: whoever started it may be killed in any way.
const SUPERVISOR: &str = r#"
set -u
bin=$1 port=$2
cd /
dir=$(mktemp -d /tmp/chorus-pg.XXXXXX) || exit 1
trap '' INT HUP TERM PIPE
trap 'rm -rf "$dir"' EXIT
make() { "$bin/initdb" -D "$dir/data" -U chorus -A trust -E UTF8 --no-sync --no-instructions "$@" >"$dir/log" 2>&1; }
# Another order than that of bytes, where there is one: what relies on it is to fail.
make --locale-provider=icu --icu-locale=en --locale=C || make --locale=C || { cat "$dir/log"; exit 1; }
serve() {
    "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start -o "-p $port -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories=$dir -c fsync=off -c full_page_writes=off -c max_connections=300 \
        -c shared_buffers=32MB -c logging_collector=off" </dev/null >/dev/null 2>&1
}
halt() { "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop </dev/null >/dev/null 2>&1; }
serve || { cat "$dir/log"; exit 1; }
echo ready
while read -r what; do
    case $what in
    stop) halt ;;
    start) serve ;;
    esac
    echo "$what"
done
halt
"#;

/// A PostgreSQL server of our own. It ends when this is dropped, or this program ends.
pub struct Cluster {
    port: u16,
    supervisor: Mutex<Supervisor>,
}

struct Supervisor {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// Makes a cluster and starts it. `None` if PostgreSQL is to be done without.
    ///
    /// # Panics
    /// If PostgreSQL is not there.
    pub fn start() -> Option<Self> {
        if std::env::var("CHORUS_TEST_POSTGRES").is_ok_and(|v| v == "skip") {
            // Not by eprintln, which shows in tests that fail only.
            let said = "SKIPPED: CHORUS_TEST_POSTGRES=skip, so nothing is tested on PostgreSQL";
            let _ = writeln!(std::io::stderr(), "{said}");
            return None;
        }
        let Some(bin) = binaries() else {
            panic!(
                "PostgreSQL 15 or newer is not installed: `scripts/need postgres` (Debian: apt-get install \
                 postgresql; macOS: brew install postgresql@17), or set CHORUS_TEST_POSTGRES_URL to a server \
                 on which databases may be made, or CHORUS_TEST_POSTGRES=skip to test on SQLite only"
            );
        };
        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let port = free.port();
        // PostgreSQL refuses to be root's.
        let mut command = match unprivileged() {
            None => Command::new("sh"),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
                command.args(["--clear-groups", "sh"]);
                command
            }
        };
        command.arg("-c").arg(SUPERVISOR).arg("scratch-postgres").arg(bin).arg(port.to_string());
        // Ctrl+C is for the tests; what they leave is cleaned up after them.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("its output"));
        let mut supervisor = Supervisor { child, orders, answers };
        supervisor.hear("ready");
        Some(Self { port, supervisor: Mutex::new(supervisor) })
    }

    /// Ends the server as a crash would.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Starts it again.
    pub fn start_again(&self) {
        self.order("start");
    }

    /// The address of one of its databases. `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://chorus@127.0.0.1:{}/{database}", self.port)
    }

    fn order(&self, what: &str) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = supervisor.orders.as_mut().expect("it is taken at the end only");
        writeln!(orders, "{what}").expect("a supervisor that listens");
        supervisor.hear(what);
    }
}

impl Supervisor {
    /// Waits until it says so.
    fn hear(&mut self, what: &str) {
        let mut said = String::new();
        while self.answers.read_line(&mut said).is_ok_and(|n| n > 0) {
            if said.lines().last() == Some(what) {
                return;
            }
        }
        panic!("PostgreSQL did not {what}: {said}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(supervisor.orders.take());
        let _ = supervisor.child.wait();
    }
}

/// The folder with the server's programs: the newest.
fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|dir| dir.join("initdb").is_file());
    on_path.or_else(|| {
        let places = ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt"];
        let folders = places.iter().flat_map(|p| std::fs::read_dir(p).into_iter().flatten());
        let mut found: Vec<(u32, PathBuf)> = folders
            .flatten()
            .filter_map(|folder| {
                let name = folder.file_name().into_string().ok()?;
                let name = name.trim_start_matches("postgresql@").trim_start_matches("pgsql-");
                let version = name.parse().ok()?;
                Some((version, folder.path().join("bin")))
            })
            .filter(|(version, bin)| *version >= 15 && bin.join("initdb").is_file())
            .collect();
        found.sort();
        found.pop().map(|(_, bin)| bin)
    })
}

/// A user and a group to become, if we are root.
fn unprivileged() -> Option<(String, String)> {
    let id = |args: &[&str]| -> Option<String> {
        let output = Command::new("id").args(args).stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    if id(&["-u"])? != "0" {
        return None;
    }
    let user = ["postgres", "nobody"].into_iter().find(|user| id(&["-u", user]).is_some())?;
    Some((id(&["-u", user])?, id(&["-g", user])?))
}

/// A database of a test's. It is gone when this is dropped.
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // On a thread of its own: there may be a runtime on this one.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(&sql));
        });
        let _ = dropped.join();
    }
}

/// A new database, made like the one that `migrate` brings up to date, given its address, the first
/// time. `None` if PostgreSQL is to be done without.
pub async fn database(migrate: impl AsyncFnOnce(&str)) -> Option<Database> {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    server()?;
    // A template stays until its server ends, which somebody else's does not.
    if std::env::var_os(EXISTING).is_some() {
        let database = empty_database().await?;
        migrate(database.url()).await;
        return Some(database);
    }
    let template = TEMPLATE.get_or_init(|| async {
        let name = new_name();
        run(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")).await;
        migrate(&address(&name)).await;
        name
    });
    Some(made(&format!("TEMPLATE {}", template.await)).await)
}

/// Whether there is a server to make databases on; if not, it has been said why.
///
/// # Panics
/// If PostgreSQL is not there.
pub fn is_here() -> bool {
    server().is_some()
}

/// A new database with nothing in it. `None` if PostgreSQL is to be done without.
pub async fn empty_database() -> Option<Database> {
    server()?;
    Some(made("TEMPLATE template0 ENCODING 'UTF8'").await)
}

async fn made(like: &str) -> Database {
    let name = new_name();
    run(&format!("CREATE DATABASE {name} {like}")).await;
    let url = address(&name);
    Database { name, url }
}

fn new_name() -> String {
    format!("chorus_test_{}", uuid::Uuid::new_v4().simple())
}

/// The address of the server's own database.
fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<(Option<Cluster>, String)>> = OnceLock::new();
    let server = SERVER.get_or_init(|| match std::env::var(EXISTING) {
        Ok(url) => Some((None, url)),
        Err(_) => Cluster::start().map(|cluster| {
            let url = cluster.url("postgres");
            (Some(cluster), url)
        }),
    });
    server.as_ref().map(|(_, url)| url.as_str())
}

/// The address of a database on the same server.
fn address(name: &str) -> String {
    let server = server().expect("a server: a database was made on it");
    let (before, query) = server.split_once('?').map_or((server, ""), |(b, q)| (b, q));
    let (base, _) = before.rsplit_once('/').expect("a database's name at the end of the URL");
    let glue = if query.is_empty() { "" } else { "?" };
    format!("{base}/{name}{glue}{query}")
}

async fn run(sql: &str) {
    let server = server().expect("a server: a database was made on it");
    let mut connection = PgConnection::connect(server).await.expect("the server");
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
    done.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let _ = connection.close().await;
}
