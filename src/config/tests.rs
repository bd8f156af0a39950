use crate::domain::usage::Usd;
use std::collections::BTreeMap;

use super::{Origin, Sources};

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_the_default() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("chorus.toml");
    std::fs::write(&file, "port = 1\nhost = \"localhost\"\nsession_prefix = \"c\"\n")
        .expect("written");
    let loaded = Sources {
        file: Some(file.clone()),
        env: env(&[
            ("CHORUS_PORT", "2"),
            ("PORT", "9"),
            ("SESSION_PREFIX", "bare"),
            ("HOME", "/h"),
        ]),
        flags: vec![("port".into(), "3".into())],
    }
    .load()
    .expect("settings");
    let (config, origins) = (loaded.config, loaded.origins);
    assert_eq!((config.port, &origins["port"]), (3, &Origin::Flag("port".into())));
    assert_eq!((config.host.as_str(), &origins["host"]), ("localhost", &Origin::File(file)));
    assert_eq!(config.session_prefix, "bare");
    assert_eq!(origins["session_prefix"], Origin::Environment("SESSION_PREFIX".into()));
    assert_eq!(origins["editor"], Origin::Default);
    assert_eq!(config.data_dir, std::path::Path::new("/h/.local/share/chorus"));
}

#[test]
fn our_name_beats_the_bare_one() {
    let env = env(&[("CHORUS_POLL_INTERVAL", "2.5"), ("POLL_INTERVAL", "1.0")]);
    let loaded = Sources { env, ..Sources::default() }.load().expect("settings");
    assert!((loaded.config.poll_interval - 2.5).abs() < f64::EPSILON);
}

#[test]
fn lists_and_tables_come_from_text() {
    let env = env(&[
        ("DOCUMENT_PATTERNS", "*.md, a/**/*.md"),
        ("STATUS_PATTERNS", r#"{ waiting = ["Allow\\?"] }"#),
        ("CHORUS_PRICES", r#"{ "my-model" = { input = 1, output = 2.5 } }"#),
        ("CHORUS_BUDGET_USD", "3"),
    ]);
    let config = Sources { env, ..Sources::default() }.load().expect("settings").config;
    assert_eq!(config.document_patterns, ["*.md", "a/**/*.md"]);
    assert_eq!(config.status_patterns["waiting"], ["Allow\\?"]);
    assert_eq!(config.prices["my-model"].output, 2.5);
    assert_eq!(config.budget(), Usd::from_dollars(3.0));
}

#[test]
fn settings_in_a_table_have_names_with_a_dot() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("chorus.toml");
    let of = |text: &str, variables: &[(&str, &str)]| {
        std::fs::write(&file, text).expect("written");
        Sources { file: Some(file.clone()), env: env(variables), flags: Vec::new() }.load()
    };
    let variables = [
        ("CHORUS_NOTIFY_QUIET_HOURS", "22:00-07:00"),
        ("CHORUS_NOTIFY_COMMAND", r#"["tell", "a, b"]"#),
        ("CHORUS_NOTICE_KIND", "permission"),
        ("CHORUS_NOTIFY_SOUND", "1"),
    ];
    let toml = "[notify]\ndesktop = false\nquiet_hours = \"01:00-02:00\"\n";
    let loaded = of(toml, &variables).expect("settings");
    let (notify, origins) = (loaded.config.notify, loaded.origins);
    assert!(!notify.desktop && notify.terminal);
    assert_eq!(notify.quiet_hours.to_string(), "22:00-07:00");
    assert_eq!(notify.command, ["tell", "a, b"]);
    assert_eq!(origins["notify.desktop"], Origin::File(file.clone()));
    assert_eq!(
        origins["notify.quiet_hours"],
        Origin::Environment("CHORUS_NOTIFY_QUIET_HOURS".into())
    );
    assert_eq!(
        (origins["notify.terminal"].clone(), origins.get("notify")),
        (Origin::Default, None)
    );
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("CHORUS_NOTIFY_SOUND"));
    for (text, says) in [
        ("[notify]\nsound = true\n", "sound"),
        ("notify = 3\n", "notify"),
        ("[notify]\nquiet_hours = \"ten to six\"\n", "22:00-07:00"),
        ("[notify]\ncommand = [\"./relative\"]\n", "absolute path"),
        ("[notify]\ngather = 61.0\n", "0 to 60 seconds"),
    ] {
        let error = of(text, &[]).expect_err(text).to_string();
        assert!(error.contains(says) && error.contains("notify"), "{text}: {error}");
    }
}

#[test]
fn what_cannot_be_used_is_named_with_its_origin() {
    for (name, value, says) in [
        ("CHORUS_PORT", "eighty", "$CHORUS_PORT"),
        ("CHORUS_HOST", "0.0.0.0", "loopback"),
        ("CHORUS_POLL_INTERVAL", "0", "0.1"),
        ("CHORUS_SESSION_PREFIX", "a b", "session_prefix"),
        ("CHORUS_DATABASE_URL", "mysql://x", "sqlite"),
        ("CHORUS_DATABASE_URL", "postgres://h:port/x", "PostgreSQL"),
        ("CHORUS_LOGIN_SHELL", "perhaps", "true or false"),
        ("CHORUS_BUDGET_USD", "-1", "0 or more"),
        ("CHORUS_PRICES", "{ m = { input = -1 } }", "0 to 1000000"),
        ("CHORUS_PRICES", "{ m = { inptu = 1 } }", "unknown field"),
    ] {
        let error =
            Sources { env: env(&[(name, value)]), ..Sources::default() }.load().expect_err(name);
        assert!(error.to_string().contains(says), "{name}: {error}");
    }
}

#[test]
fn a_foreign_database_url_is_left_alone() {
    let of = |name: &str, url: &str| {
        Sources { env: env(&[(name, url)]), ..Sources::default() }.load().expect("settings")
    };
    let loaded = of("DATABASE_URL", "mysql://elsewhere/app");
    assert!(loaded.config.database_url.is_empty());
    assert!(loaded.warnings.iter().any(|w| w.contains("CHORUS_DATABASE_URL")));
    // Whose a PostgreSQL database is only that itself can tell.
    assert!(of("DATABASE_URL", "postgres://elsewhere/app").place_may_be_anothers());
    assert!(!of("CHORUS_DATABASE_URL", "postgres://elsewhere/app").place_may_be_anothers());
}

#[test]
fn a_foreign_host_or_port_is_left_alone() {
    let of = |name: &str, value: &str| {
        Sources { env: env(&[(name, value)]), ..Sources::default() }.load().expect("settings")
    };
    for (name, value) in
        [("HOST", "x86_64-conda-linux-gnu"), ("HOST", "0.0.0.0"), ("PORT", "tcp://10.0.0.1:80")]
    {
        let loaded = of(name, value);
        assert_eq!((loaded.config.host.as_str(), loaded.config.port), ("127.0.0.1", 8000));
        assert_eq!(loaded.origins[&name.to_lowercase()], Origin::Default);
        assert!(loaded.warnings.iter().any(|w| w.contains(&format!("CHORUS_{name}"))), "{name}");
    }
    assert_eq!(of("HOST", "::1").config.host, "::1");
    // One that is usable is where to begin; only ours is final.
    let bare = of("PORT", "3000");
    assert_eq!((bare.config.port, bare.port_is_fixed()), (3000, false));
    assert!(of("CHORUS_PORT", "3000").port_is_fixed());
    assert!(!Sources::default().load().expect("settings").port_is_fixed());
}

#[test]
fn a_password_is_not_in_what_is_said_about_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("chorus.toml");
    for content in [
        "database_url = postgres://me:geheim@host/db\n",
        "database_url = \"postgres://me:geheim@host:port/db\"\n",
        "database_url = \"mysql://me:geheim@host/db\"\n",
    ] {
        std::fs::write(&file, content).expect("written");
        let error = Sources { file: Some(file.clone()), ..Sources::default() }.load();
        let error = error.expect_err("unusable").to_string();
        assert!(!error.contains("geheim"), "{error}");
    }
}

#[test]
fn an_unknown_key_in_the_file_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("chorus.toml");
    std::fs::write(&file, "prot = 1\n").expect("written");
    let error = Sources { file: Some(file), ..Sources::default() }.load().expect_err("a typo");
    assert!(error.to_string().contains("prot"), "{error}");
}
