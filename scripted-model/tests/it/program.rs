//! The program around the library.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::client::{call, conversation};

/// Ends the program when a test fails half-way.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_tells_its_port_plays_a_file_and_logs_whole_requests() {
    let directory = std::env::temp_dir().join(format!("scripted-model-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (script, log) = (directory.join("script.json"), directory.join("log.jsonl"));
    std::fs::write(&script, r#"[{"text": "from the file"}]"#).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_scripted-model"))
        .arg("--script")
        .arg(&script)
        .arg("--log")
        .arg(&log)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();

    let body = conversation("hi", 0, false).to_string();
    let answer =
        tokio::runtime::Runtime::new().unwrap().block_on(call(port, "POST", "/v1/messages", &body));
    assert_eq!(answer.json()["content"][0]["text"], "from the file");
    let logged = std::fs::read_to_string(&log).unwrap();
    let entry: serde_json::Value = serde_json::from_str(logged.trim()).unwrap();
    assert_eq!(entry["kind"], "main");
    assert_eq!(entry["body"]["model"], "test-model");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn mistakes_end_it_with_an_explanation() {
    let run = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_scripted-model")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run(&["--prot", "1"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--prot") && text.contains("usage:"), "{text}");
    let (code, text) = run(&["--script", "/nonexistent.json"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("/nonexistent.json"), "{text}");
}
