use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// A process that ends with the test.
struct Started(Child);

impl Started {
    fn new(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        Self(command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn process(&self) -> Process {
        identify(self.0.id()).unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn until<T>(what: &str, mut fact: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = fact() {
            return value;
        }
        assert!(Instant::now() < end, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("not within 10 s");
}

#[tokio::test]
async fn an_end_is_noticed_even_of_a_zombie() {
    let mut child = Started::new("sleep", &["60"]);
    let process = child.process();
    assert!(alive(process));
    assert!(!alive(Process { start: process.start + 1, ..process }));
    let waiting = tokio::spawn(wait_gone(process));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    // Not waited for: it stays a zombie.
    assert!(kill(process).unwrap());
    soon(async { waiting.await.unwrap() }).await;
    assert!(!alive(process));
    assert_eq!(identify(process.pid), None);
    child.0.wait().unwrap();
    soon(wait_gone(process)).await;
    soon(look_until_gone(process)).await;
}

#[tokio::test]
async fn another_with_the_same_pid_is_neither_waited_for_nor_signalled() {
    let child = Started::new("sleep", &["60"]);
    let earlier = Process { start: child.process().start - 1, ..child.process() };
    soon(wait_gone(earlier)).await;
    assert!(!kill(earlier).unwrap());
    assert!(!signal_by_pid(earlier, Signal::KILL).unwrap());
    assert!(alive(child.process()));
    assert!(kill(Process { pid: 1, start: 0 }).is_err());
    assert!(kill(Process { pid: 0, start: 0 }).is_err());
    assert!(!kill(Process { pid: u32::MAX, start: 0 }).unwrap());
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn descendants_and_ancestors_are_found() {
    // A shell, a shell in a session of its own as Claude's Bash tool runs them, and its child.
    let script = "setsid sh -c 'sleep 60 & wait' & wait";
    let child = Started::new("sh", &["-c", script]);
    let pid = child.0.id();
    let three = || Some(descendants(pid)).filter(|found| found.len() >= 2);
    let found = until("two descendants", three).await;
    let sleeper = until("the sleeper", || {
        let name = |p: &Process| std::fs::read_to_string(format!("/proc/{}/comm", p.pid)).ok();
        descendants(pid).into_iter().find(|p| name(p).is_some_and(|name| name == "sleep\n"))
    })
    .await;
    assert!(found.iter().all(|p| p.pid != pid));
    let line = ancestors(sleeper.pid);
    assert_eq!(line.iter().rev().find(|&&p| p == pid), Some(&pid));
    assert!(line.contains(&std::process::id()));
    assert_eq!(parent(pid), Some(std::process::id()));
    assert!(ancestors(1).is_empty());

    let left = end_tree(vec![child.process()], Duration::from_secs(5)).await;
    assert_eq!(left, []);
    assert!(found.iter().all(|&p| !alive(p)));
}

#[tokio::test]
async fn the_stubborn_are_killed() {
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = Started::new("sh", &["-c", script]);
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.0.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let process = child.process();
    let me = identify(std::process::id()).unwrap();
    assert_eq!(me.pid, std::process::id());
    assert!(terminate(process).unwrap());
    assert!(alive(process));
    assert_eq!(end_tree(vec![process], Duration::from_millis(100)).await, []);
    assert!(!alive(process));
}

#[test]
#[cfg(target_os = "linux")]
fn an_environment_is_read() {
    let mut command = Command::new("sleep");
    command.arg0("sleep").arg("60").env_clear().env("CHORUS_X", "1").env("CHORUS_Y", "");
    let child = Started(command.spawn().unwrap());
    let has = |key| environ_has(child.0.id(), key);
    assert_eq!((has("CHORUS_X"), has("CHORUS_Y")), (Some(true), Some(true)));
    assert_eq!((has("CHORUS"), has("PATH"), has("")), (Some(false), Some(false), Some(false)));
    assert_eq!(environ_has(u32::MAX, "PATH"), None);
}

#[test]
fn a_hostile_name_is_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a) Z 1 (b");
    std::os::unix::fs::symlink("/bin/sleep", &path).unwrap();
    let child = Started::new(path.to_str().unwrap(), &["60"]);
    assert_eq!(parent(child.0.id()), Some(std::process::id()));
    assert!(alive(child.process()));
}
