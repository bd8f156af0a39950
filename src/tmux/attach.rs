//! How a person's terminal comes to show a session.

use std::path::Path;

/// Returns the arguments of the command that shows session `name` in a person's terminal.
///
/// `tmux_env` is `$TMUX` of that terminal. Inside Chorus's own server its client switches to the
/// session; inside another server the session is shown nested, which tmux refuses unless `TMUX` is
/// empty.
pub fn attach_command(
    binary: &Path,
    socket: &Path,
    name: &str,
    tmux_env: Option<&str>,
) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut argv = vec![text(binary), "-S".into(), text(socket)];
    // "socket,pid,session": a socket's path may hold commas itself.
    let around = tmux_env.filter(|env| !env.is_empty());
    let around = around.map(|env| env.rsplitn(3, ',').last().unwrap_or(env));
    match around {
        Some(other) if same_file(Path::new(other), socket) => {
            argv.push("switch-client".into());
        }
        Some(_) => {
            argv.splice(0..0, ["env".into(), "TMUX=".into()]);
            argv.push("attach-session".into());
        }
        None => argv.push("attach-session".into()),
    }
    argv.extend(["-t".into(), format!("={name}")]);
    argv
}

fn same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    one == other || real(one).is_some_and(|one| Some(one) == real(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surrounding_tmux_decides() {
        let command = |env| attach_command("tmux".as_ref(), "/a,b/s".as_ref(), "claude-x", env);
        let plain = ["tmux", "-S", "/a,b/s", "attach-session", "-t", "=claude-x"];
        assert_eq!(command(None), plain);
        assert_eq!(command(Some("")), plain);
        assert_eq!(command(Some("/tmp/tmux-0/default,12,0"))[..3], ["env", "TMUX=", "tmux"]);
        assert_eq!(command(Some("/a,b/s,12,0"))[3..], ["switch-client", "-t", "=claude-x"]);
    }
}
