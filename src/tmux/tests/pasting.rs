//! Texts, arguments and folders arrive byte for byte.

use super::*;

/// A program that writes what it reads to `file`, from a terminal in raw mode.
async fn raw_reader(server: &Server, name: &str, file: &Path, bracketed: bool) -> Pane {
    let script = "test $2 = 0 || printf '\\033[?2004h'; stty raw -echo; exec cat > \"$1\"";
    let file_text = file.to_str().unwrap();
    let bracketed = if bracketed { "1" } else { "0" };
    let pane = server.session(name, &["sh", "-c", script, "sh", file_text, bracketed]).await;
    until("the reader to be ready", async || file.exists().then_some(())).await;
    pane
}

fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "plain",
        " leading blank",
        "trailing blank ",
        "\ttab\t",
        "two\nlines",
        "\n",
        "\n\n\nafter",
        "trailing newline\n",
        "\r\n crlf \r\n",
        "\"double\" 'single' `back`",
        "'",
        "\"",
        "\\",
        "\\\\",
        "\\n \\t \\033 \\u1234 \\",
        "$HOME ${HOME} $(id) $",
        "~ ~/x ~root",
        "~",
        "#{pid} #(id) #[fg=red] ##",
        "%1 %% %begin 1 2 3\n%end 1 2 3",
        "; kill-server ; #",
        "{ } ; && ||",
        "-t -x --",
        "é ü ß 漢字 🎉 👩‍👩‍👧",
        "\u{feff}bom\u{200b}\u{202e}",
        "\u{7f}del",
        "\u{1}\u{2}\u{1f}",
        "esc \u{1b}[31m",
        "set-buffer -b x \"",
        "Enter\nC-c\nEscape",
        "#!@$%^&*()_+|~=-`[]{};':,./<>?",
        "\u{80}\u{ff}\u{10ffff}",
    ]
    .map(String::from)
    .to_vec();
    texts.push((1..=0x7f_u8).map(char::from).collect());
    texts.push("0123456789abcdef\n".repeat(600));
    texts.push("漢字🎉\"$\\~\n".repeat(5000));
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn pastes_are_exact() {
    let server = Server::start().await;
    let file = server.path("read");
    let pane = raw_reader(&server, "a", &file, false).await;
    let mut expected = Vec::new();
    for text in hostile() {
        server.tmux.paste(pane.pane, &text).await.unwrap();
        expected.extend_from_slice(text.as_bytes());
        let read = bytes_of(&file, expected.len()).await;
        let start = expected.len() - text.len();
        assert!(
            read[start..] == *text.as_bytes(),
            "{text:.80?} became {:.80?}",
            String::from_utf8_lossy(&read[start..])
        );
    }
    server.tmux.paste(pane.pane, "").await.unwrap();
    let refused = server.tmux.paste(pane.pane, "a\0b").await;
    assert!(matches!(refused, Err(TmuxError::Invalid { .. })));
    server.tmux.send_key(pane.pane, Key::Enter).await.unwrap();
    expected.push(b'\r');
    assert!(bytes_of(&file, expected.len()).await == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_asks_gets_a_bracketed_paste() {
    let server = Server::start().await;
    let file = server.path("read");
    let pane = raw_reader(&server, "a", &file, true).await;
    // tmux has read the request once it has read what was printed after it.
    until("bracketed paste", async || {
        let before = fs::metadata(&file).unwrap().len() as usize;
        server.tmux.paste(pane.pane, "a\nb").await.unwrap();
        let read = bytes_of(&file, before + 3).await;
        read[before..].starts_with(b"\x1b[200~").then_some(())
    })
    .await;
    let before = fs::metadata(&file).unwrap().len() as usize;
    let text = "x\n".repeat(30_000);
    server.tmux.paste(pane.pane, &text).await.unwrap();
    let expected = format!("\x1b[200~{text}\x1b[201~");
    let read = bytes_of(&file, before + expected.len()).await;
    assert!(read.ends_with(expected.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_their_arguments_without_a_shell() {
    let server = Server::start().await;
    let file = server.path("arguments");
    let script = "printf '%s\\0' \"$@\" > \"$0.new\"; mv \"$0.new\" \"$0\"; exec cat";
    let big = "漢\"$~".repeat(15_000);
    let mut arguments = hostile();
    arguments.retain(|text| text.len() < 1000);
    arguments.extend([String::new(), big.clone()]);
    assert!(big.len() > 80_000);
    let mut argv = vec!["sh", "-c", script, file.to_str().unwrap()];
    argv.extend(arguments.iter().map(String::as_str));
    let pane = server.session("a", &argv).await;
    let read = until("the arguments", async || fs::read(&file).ok()).await;
    let expected: Vec<u8> = arguments.iter().flat_map(|a| [a.as_bytes(), b"\0"].concat()).collect();
    assert!(read == expected);

    // The same again where a program runs already; 100 KB in one argument, no UTF-8.
    fs::remove_file(&file).unwrap();
    let mut argv: Vec<_> = argv[..4].iter().map(Into::into).collect();
    argv.push(std::ffi::OsString::from_vec(vec![0xfe; 100_000]));
    let again =
        server.tmux.respawn_pane(pane.pane, server.folder.path(), &[], &argv).await.unwrap();
    assert_eq!(again.pane, pane.pane);
    assert_ne!(again.pid, pane.pid);
    let read = until("the argument", async || fs::read(&file).ok()).await;
    assert!(read == [vec![0xfe; 100_000], vec![0]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_word_is_no_shell_command() {
    let server = Server::start().await;
    let program = server.path("a; touch pwned; $x");
    fs::write(&program, "#!/bin/sh\necho \"$V\" > ran.new; mv ran.new ran\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    let mut new = NewSession::new("a", server.folder.path(), vec![program.into()]);
    new.env = vec![("V".into(), "#{pid} $HOME \"x\"".into())];
    server.tmux.new_session(new).await.unwrap();
    let read = until("it to run", async || fs::read_to_string(server.path("ran")).ok()).await;
    assert_eq!(read, "#{pid} $HOME \"x\"\n");
    assert!(!server.path("pwned").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_no_formats() {
    let server = Server::start().await;
    let name = "a#{pid}#[b]##x%H#,#}~ \"$HOME\" #(touch pwned) é";
    let folder = server.path(name);
    fs::create_dir(&folder).unwrap();
    let argv = || ["sh", "-c", "pwd > out.new; mv out.new out; exec cat"].map(Into::into).to_vec();
    let pane = server.tmux.new_session(NewSession::new("a", &folder, argv())).await.unwrap();
    let out = folder.join("out");
    let read = until("the folder", async || fs::read_to_string(&out).ok()).await;
    assert_eq!(read.trim_end(), folder.to_str().unwrap());
    fs::remove_file(&out).unwrap();
    server.tmux.respawn_pane(pane.pane, &folder, &[], &argv()).await.unwrap();
    until("the folder again", async || out.exists().then_some(())).await;
    assert!(!folder.join("pwned").exists() && !server.path("pwned").exists());
}
