use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::json;

use super::{scrub, scrub_json};

#[test]
fn secrets_are_replaced_by_their_kind() {
    let cases = [
        ("key sk-ant-api03-AbC_dEf-123456 end", "key [scrubbed:anthropic-key] end"),
        ("sk-proj-abcdefghijklmnopqrstuvwx", "[scrubbed:api-key]"),
        ("sk_live_abcdefghijklmnopqrstuvwx", "[scrubbed:api-key]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[scrubbed:github-token]"),
        ("github_pat_11ABCDEFG0abcdefghijklmnop", "[scrubbed:github-token]"),
        ("glpat-abcdefghij0123456789", "[scrubbed:gitlab-token]"),
        ("id AKIAIOSFODNN7EXAMPLE.", "id [scrubbed:aws-key]."),
        ("xoxb-123456789012-abcdefABCDEF", "[scrubbed:slack-token]"),
        ("AIzaSyA-abcdefghijklmnopqrstuvwxyz01234", "[scrubbed:google-key]"),
        ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "[scrubbed:npm-token]"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer [scrubbed:bearer]"),
        ("authorization: basic dXNlcjpwYXNzd29yZDE=", "authorization: basic [scrubbed:bearer]"),
        (
            r#"{"Authorization":"Basic dXNlcjpwYXNzd29yZDE="}"#,
            r#"{"Authorization":"Basic [scrubbed:bearer]"}"#,
        ),
        (
            "https://hooks.slack.com/services/T0/B0/abcdefghijklmnop",
            "https://[scrubbed:slack-token]",
        ),
        ("t eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln x", "t [scrubbed:jwt] x"),
        ("postgres://u:p4ss@h/db", "postgres://u:[scrubbed:url-password]@h/db"),
        ("redis://:pw@h", "redis://:[scrubbed:url-password]@h"),
        ("password=hunter2", "password=[scrubbed:secret]"),
        ("DB_PASSWORD=x!y z", "DB_PASSWORD=[scrubbed:secret] z"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=[scrubbed:secret]"),
        ("?token=abc&x=1", "?token=[scrubbed:secret]&x=1"),
        (r#"{"api_key": "abc", "b": 1}"#, r#"{"api_key": "[scrubbed:secret]", "b": 1}"#),
        (r#"{\"apiKey\":\"abc d\"}"#, r#"{\"apiKey\":\"[scrubbed:secret]\"}"#),
        ("client_secret: 'two words'", "client_secret: '[scrubbed:secret]'"),
        ("token: Bearer abcd1234", "token: Bearer [scrubbed:secret]"),
        ("password: hunter22", "password: [scrubbed:secret]"),
        ("password = hunter22", "password = [scrubbed:secret]"),
        ("passwort=\"x\" pwd: \"ä\u{f6}\"", "passwort=\"x\" pwd: \"[scrubbed:secret]\""),
    ];
    for (text, expected) in cases {
        assert_eq!(scrub(text), expected, "{text}");
    }
}

#[test]
fn private_keys_are_replaced_as_a_whole() {
    let body = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF0\nqLzZ+abc==\n";
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----");
    assert_eq!(scrub(&format!("a\n{pem}\nb")), "a\n[scrubbed:private-key]\nb");
    let escaped = pem.replace('\n', "\\n");
    assert_eq!(scrub(&format!("\"{escaped}\"")), "\"[scrubbed:private-key]\"");
    let numbered: String =
        pem.lines().enumerate().map(|(i, line)| format!("{}\t{line}\n", i + 1)).collect();
    assert_eq!(scrub(&numbered), "1\t[scrubbed:private-key]\n");
    let encrypted = pem.replacen(
        '\n',
        "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,3F17F5316E2BAC89\n\n",
        1,
    );
    assert_eq!(scrub(&encrypted), "[scrubbed:private-key]");
    assert!(!scrub(&pem[..60]).contains("MIIE"), "cut off");
    let public = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----";
    assert_eq!(scrub(public), public);
}

#[test]
fn what_is_no_secret_is_left_alone_without_a_copy() {
    for text in [
        "",
        "plain text, nothing to see: see https://example.com/a?b=c and a:b@c",
        "\"output_tokens\": 15, \"input_tokens\": 1234567, max_tokens=4096",
        "the password: string is asked for; token: Token",
        "const token = next(); let secret = make_secret();",
        "a bearer of bad news; basic responsibilities",
        "task-force sk-learn disk-usage",
        "password=$PASSWORD",
        "git@github.com:a/b.git ssh://git@host/x",
        "password",
        "toolu_310e0373b878454f9a8a44a9 c4ac8c8e-ebcb-43f1-b29b-978b8b5065b8",
    ] {
        assert!(matches!(scrub(text), Cow::Borrowed(same) if same == text), "{}", scrub(text));
    }
}

#[test]
fn json_is_scrubbed_by_name_and_by_shape() {
    let mut value = json!({
        "command": "curl -H 'Authorization: Bearer abcdef123456'",
        "env": {"API_KEY": "x", "PORT": "80", "tokens": "3", "password": ""},
        "list": ["sk-ant-abcdefghij", 1, null],
        "token": 5,
    });
    scrub_json(&mut value);
    assert_eq!(
        value,
        json!({
            "command": "curl -H 'Authorization: Bearer [scrubbed:bearer]'",
            "env": {"API_KEY": "[scrubbed:secret]", "PORT": "80", "tokens": "3", "password": ""},
            "list": ["[scrubbed:anthropic-key]", 1, null],
            "token": 5,
        })
    );
}

/// Texts that are made to be slow: the time must grow with the length, not with its square.
#[test]
fn hostile_text_is_scrubbed_in_linear_time() {
    for piece in [
        "-----BEGIN PRIVATE KEY-----",
        "password=",
        "password: a",
        "token: 'a",
        "://a:",
        "eyJaaaaaaaa.",
        "sk-ant-",
        "bearer aaaaaaaa ",
        "secret_",
        "\\\"",
        "xoxb-",
    ] {
        let text = piece.repeat((512 << 10) / piece.len());
        // What took a time that grows with the square would not come back for hours.
        assert!(scrub(&text).len() <= 16 * text.len());
    }
}

proptest! {
    #[test]
    fn scrubbing_is_idempotent(text in any::<String>()) {
        let once = scrub(&text).into_owned();
        prop_assert_eq!(scrub(&once), once.as_str());
    }

    #[test]
    fn scrubbing_what_looks_like_secrets_is_idempotent(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "password", "token", "secret", "api_key", "=", ": ", ":", " ", "\"", "'", "\\", "\n",
                "abc", "hunter2", "x1y2z3x1y2z3x1y2z3x1y2z3", "sk-ant-", "ghp_", "Bearer ", "://",
                "@", "u:", "eyJabcdefg.", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----",
                "[scrubbed:secret]", "AKIAIOSFODNN7EXAMPLE", "_", "-", "$", "=>", "basic ", "ä",
            ]),
            0..12,
        ),
    ) {
        let text = parts.concat();
        let once = scrub(&text).into_owned();
        let twice = scrub(&once).into_owned();
        prop_assert_eq!(&twice, &once, "from {}", text);
    }

    #[test]
    fn json_is_scrubbed_once(text in any::<String>(), name in "[a-z_]{0,12}") {
        let mut value = json!({ &name: [&text], "b": &text });
        scrub_json(&mut value);
        let once = value.clone();
        scrub_json(&mut value);
        prop_assert_eq!(value, once);
    }
}
