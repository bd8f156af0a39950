use super::*;
use proptest::prelude::*;

/// Feeds a stream; lines of commands are announced as `(tag, blocks, fence)`.
fn feed(
    expected: &[(u32, usize, Option<&str>)],
    stream: &[u8],
) -> Result<Vec<Item<u32>>, ProtocolError> {
    let mut assembler = Assembler::default();
    for &(tag, blocks, fence) in expected {
        assembler.expect(tag, blocks, fence.map(Into::into));
    }
    let mut lines = Lines::default();
    let mut items = Vec::new();
    lines.buffer().extend_from_slice(stream);
    while let Some(line) = lines.next_line()? {
        assembler.push(line, &mut |item| items.push(item))?;
    }
    Ok(items)
}

fn block(ok: bool, body: &str) -> Block {
    Block { ok, body: body.as_bytes().to_vec() }
}

#[test]
fn replies_come_in_order_with_notifications_between() {
    let stream =
        b"%begin 1 5 0\n%end 1 5 0\n%session-changed $0 k\n%begin 1 6 1\na\n\nb\n%end 1 6 1\n\
        %sessions-changed\n%begin 1 7 1\nno\n%error 1 7 1\n%exit gone\n";
    let items = feed(&[(1, 1, None), (2, 3, None)], stream).unwrap();
    assert_eq!(
        items,
        [
            Item::Foreign(block(true, "")),
            Item::Notification(Notification::Attached),
            Item::Reply(1, vec![block(true, "a\n\nb")]),
            Item::Notification(Notification::Sessions),
            Item::Reply(2, vec![block(false, "no")]),
            Item::Notification(Notification::Exit(Bytes::from_static(b"gone"))),
        ]
    );
}

#[test]
fn a_line_of_commands_is_answered_whole() {
    let stream =
        b"%begin 1 1 1\n%end 1 1 1\n%begin 1 2 0\n%end 1 2 0\n%begin 1 3 1\nx\n%end 1 3 1\n";
    let items = feed(&[(1, 2, None)], stream).unwrap();
    assert_eq!(items[1], Item::Reply(1, vec![block(true, ""), block(true, "x")]));
}

#[test]
fn replies_inside_replies_are_text() {
    let inner = "%begin 1 8 1\nforged\n%end 1 8 1\n%end 1 6 0\n%output %1 x\n%exit";
    let stream = format!("%begin 1 6 1\n{inner}\n%end 1 6 1\n");
    let items = feed(&[(1, 1, None)], stream.as_bytes()).unwrap();
    assert_eq!(items, [Item::Reply(1, vec![block(true, inner)])]);
}

#[test]
fn a_fence_holds_against_guessed_numbers() {
    let inner = "%end 1 6 1\n%begin 1 7 1\nforged\n%end 1 7 1";
    let stream = format!(
        "%begin 1 6 1\n{inner}\n%end 1 6 1\n%sessions-changed\n%begin 1 7 0\n%end 1 7 0\n\
         %begin 1 8 1\nsecret\n%end 1 8 1\n%begin 1 9 1\nb\n%end 1 9 1\n"
    );
    let items = feed(&[(1, 1, Some("secret")), (2, 1, None)], stream.as_bytes()).unwrap();
    assert_eq!(
        items,
        [
            Item::Reply(1, vec![block(true, inner)]),
            Item::Notification(Notification::Sessions),
            Item::Foreign(block(true, "")),
            Item::Reply(2, vec![block(true, "b")]),
        ]
    );
    let failed = "%begin 1 6 1\nno pane\n%error 1 6 1\n%begin 1 8 1\nsecret\n%end 1 8 1\n";
    let items = feed(&[(1, 1, Some("secret"))], failed.as_bytes()).unwrap();
    assert_eq!(items, [Item::Reply(1, vec![block(false, "no pane")])]);
}

#[test]
fn being_out_of_step_is_noticed() {
    for stream in ["%begin 1 6 1\n", "%begin 1 6 0\n%end 1 6 0\n%end 1 6 0\n", "%error 1 6 1\n"] {
        assert!(
            matches!(feed(&[], stream.as_bytes()), Err(ProtocolError::OutOfStep(_))),
            "{stream}"
        );
    }
}

#[test]
fn a_line_without_end_is_bounded() {
    let mut lines = Lines::default();
    let chunk = vec![b'x'; 1 << 20];
    let error = (0..32).find_map(|_| {
        lines.buffer().extend_from_slice(&chunk);
        lines.next_line().err()
    });
    assert_eq!(error, Some(ProtocolError::TooLong(MAX_LINE)));
}

#[test]
fn a_reply_without_end_is_bounded() {
    let mut assembler = Assembler::default();
    assembler.expect(1, 1, None);
    assembler.push(Bytes::from_static(b"%begin 1 1 1"), &mut |_| {}).unwrap();
    let line = Bytes::from(vec![b'x'; 8 << 20]);
    let error = (0..16).find_map(|_| assembler.push(line.clone(), &mut |_| {}).err());
    assert_eq!(error, Some(ProtocolError::TooLong(MAX_REPLY)));
}

#[test]
fn output_is_unescaped() {
    let line = Bytes::from_static(b"%output %3 a\\033[1m\\134 \\303\xa9 : \\9");
    let data = b"a\x1b[1m\\ \xc3\xa9 : \\9".to_vec();
    assert_eq!(Line::parse(&line), Line::Output { pane: Bytes::from_static(b"%3"), data });
    let line = Bytes::from_static(b"%extended-output %3 12 ... : a : b");
    let data = b"a : b".to_vec();
    assert_eq!(Line::parse(&line), Line::Output { pane: Bytes::from_static(b"%3"), data });
}

#[test]
fn a_subscription_is_read() {
    let line = Bytes::from_static(b"%subscription-changed chorus $0 - - - : a : b");
    let (name, value) = (Bytes::from_static(b"chorus"), Bytes::from_static(b"a : b"));
    let expected = Line::Notification(Notification::Subscription { name, value });
    assert_eq!(Line::parse(&line), expected);
}

/// Lines that matter, mixed with any bytes.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let guard = (prop_oneof![Just("begin"), Just("end"), Just("error")], 0..3u8, 0..2u8)
        .prop_map(|(word, number, flags)| format!("%{word} 1 {number} {flags}\n").into_bytes());
    let known =
        prop_oneof![Just("%exit\n"), Just("fence\n"), Just("%output %1 \\0\n"), Just("%\n")]
            .prop_map(|line: &str| line.as_bytes().to_vec());
    let any = proptest::collection::vec(any::<u8>(), 0..20);
    proptest::collection::vec(prop_oneof![3 => guard, 1 => known, 1 => any], 0..40)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn anything_is_survived(stream in stream(), fence in any::<bool>()) {
        let fence = fence.then_some("fence");
        let _ = feed(&[(1, 1, None), (2, 1, fence), (3, 2, None)], &stream);
    }

    #[test]
    fn cuts_do_not_matter(stream in stream(), cut in 0..400usize) {
        let mut whole = Lines::default();
        whole.buffer().extend_from_slice(&stream);
        let mut parts = Lines::default();
        let cut = cut.min(stream.len());
        let mut seen = Vec::new();
        for part in [&stream[..cut], &stream[cut..]] {
            parts.buffer().extend_from_slice(part);
            while let Some(line) = parts.next_line().unwrap() {
                seen.push(line);
            }
        }
        for line in seen {
            prop_assert_eq!(whole.next_line().unwrap(), Some(line));
        }
        prop_assert_eq!(whole.next_line().unwrap(), None);
    }

    #[test]
    fn output_escaping_is_undone(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut escaped = Vec::new();
        for &byte in &data {
            if byte < 0x20 || byte == b'\\' {
                escaped.extend(format!("\\{byte:03o}").into_bytes());
            } else {
                escaped.push(byte);
            }
        }
        prop_assert_eq!(unescape(&escaped), data);
    }
}
