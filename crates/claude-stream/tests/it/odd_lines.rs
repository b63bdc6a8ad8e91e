//! Lines that no transcript contains.

use crate::{LIMIT, decoded, event};

#[test]
fn unknown_types_are_events() {
    for (line, kind) in [
        (r#"{"type":"tomorrow","x":[1]}"#, "tomorrow"),
        (r#"{"x":1,"type":"tomorrow","subtype":"noon"}"#, "tomorrow/noon"),
        (r#"{"type":"system","subtype":"thinking_tokens","estimated_tokens":3}"#, "system/thinking_tokens"),
        (r#"{"type":"system"}"#, "system"),
        (r#"{"type":"stream_event","event":{"type":"ping"}}"#, "stream_event/ping"),
        (
            r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta"}}}"#,
            "stream_event/content_block_delta/signature_delta",
        ),
        (r#"{"type":"control_response","response":{"subtype":"maybe","request_id":"1"}}"#, "control_response"),
        (r#"{"type":7}"#, ""),
        (r#"{"subtype":"success"}"#, "/success"),
        ("{}", ""),
        ("[1]", ""),
        ("42", ""),
        ("null", ""),
        (r#""text""#, ""),
    ] {
        assert_eq!(event(line), format!("Unknown {{ kind: {kind:?} }}"), "{line}");
    }
}

#[test]
fn known_types_whose_fields_do_not_fit_are_unknown() {
    for (line, kind) in [
        (r#"{"type":"stream_event"}"#, "stream_event"),
        (r#"{"type":"stream_event","event":7}"#, "stream_event"),
        (r#"{"type":"stream_event","event":{"type":"content_block_stop","index":-1}}"#, "stream_event"),
        (r#"{"type":"stream_event","event":{"type":"content_block_stop"}}"#, "stream_event"),
        (r#"{"type":"assistant","message":"hello"}"#, "assistant"),
        (r#"{"type":"assistant","message":{"id":"m","model":"c","content":[{"type":"text"}]}}"#, "assistant"),
        (r#"{"type":"user","isReplay":true}"#, "user"),
        (r#"{"type":"user","message":{"content":7}}"#, "user"),
        (r#"{"type":"system","subtype":"init","session_id":null}"#, "system/init"),
        (r#"{"type":"system","subtype":"api_retry","attempt":"first"}"#, "system/api_retry"),
        (r#"{"type":"control_request","request_id":"1","request":[]}"#, "control_request"),
        (r#"{"type":"result","subtype":"success","result":"a","result":"b"}"#, "result/success"),
    ] {
        assert_eq!(event(line), format!("Unknown {{ kind: {kind:?} }}"), "{line}");
    }
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let expected = r#"TextDelta { parent: Some("t"), index: 2, text: "x" }"#;
    for line in [
        r#"{"parent_tool_use_id":"t","event":{"delta":{"text":"x","type":"text_delta"},"index":2,"type":"content_block_delta"},"type":"stream_event"}"#,
        r#" { "type" : "stream_event" , "event" : {"index":2,"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}},"parent_tool_use_id":"t"} "#,
        r#"{"\u0074ype":"stream\u005fevent","event":{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"\u0078"}},"parent_tool_use_id":"t"}"#,
    ] {
        assert_eq!(event(line), expected, "{line}");
    }
    assert_eq!(
        event(r#"{"status":"compacting","subtype":"status","type":"system"}"#),
        r#"Status { status: Some("compacting") }"#
    );
    assert_eq!(event(r#"{"type":"system","uuid":"u","subtype":"status","status":null}"#), "Status { status: None }");
}

#[test]
fn of_several_types_the_first_counts() {
    let line = r#"{"type":"system","subtype":"status","status":"a","type":"result","subtype":"init"}"#;
    assert_eq!(event(line), r#"Status { status: Some("a") }"#);
    let line = r#"{"status":"a","type":"system","type":"result","subtype":"status","subtype":"init"}"#;
    assert_eq!(event(line), r#"Status { status: Some("a") }"#);
}

#[test]
fn deep_nesting_is_passed_on() {
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    assert_eq!(event(&deep), r#"Unknown { kind: "" }"#);
    assert_eq!(event(&format!(r#"{{"type":"deep","x":{deep}}}"#)), r#"Unknown { kind: "deep" }"#);
    let line = format!(
        r#"{{"type":"assistant","message":{{"id":"m","model":"c","content":[{{"type":"tool_use","id":"t","name":"Bash","input":{deep}}}]}}}}"#
    );
    assert!(event(&line).contains(&format!("input: RawValue({deep})")));
    assert!(event(&deep[1..]).starts_with("NotJson"));
}

#[test]
fn not_json() {
    let garbage = "x".repeat(300);
    let excerpt = "x".repeat(200);
    assert_eq!(event(&garbage), format!("NotJson {{ excerpt: {excerpt:?} }}"));
    let wide = "é\u{1F600}".repeat(300);
    let excerpt = "é\u{1F600}".repeat(100);
    assert_eq!(event(&wide), format!("NotJson {{ excerpt: {excerpt:?} }}"));
    for line in [
        r#"{"type":"result","subtype":"success""#,
        r#"{"type":"result","subtype":"success"} x"#,
        r#"{"type":"tomorrow"}{"type":"tomorrow"}"#,
        r#"{"type":"stream_event",}"#,
        "{\"type\":\"tomorrow\",\"text\":\"a\0b\"}",
        "\0",
        "\u{feff}{}",
        "{\"type\":\"system\",\"subtype\":\"status\",\"status\":\"a\u{1}\"}",
    ] {
        assert!(event(line).starts_with("NotJson"), "{line}");
    }
}

#[test]
fn not_utf8() {
    assert_eq!(
        decoded(LIMIT, [b"\"\xFF\xC3\"\n1".as_slice()]),
        ["NotUtf8 { excerpt: \"\\\"\u{fffd}\u{fffd}\\\"\" }", r#"1 Unknown { kind: "" }"#,]
    );
}

#[test]
fn escapes_in_strings() {
    for (json, text) in [
        (r"a\u0000b", "a\0b"),
        (r"a\nb\tc", "a\nb\tc"),
        ("a\u{2028}b\u{2029}", "a\u{2028}b\u{2029}"),
        (r"a\u2028b", "a\u{2028}b"),
        (r"\ud83d\ude00", "\u{1F600}"),
        (r"cut \ud83d", "cut \u{fffd}"),
        (r"\\ud83d", r"\ud83d"),
    ] {
        let line = format!(r#"{{"type":"system","subtype":"status","status":"{json}"}}"#);
        assert_eq!(event(&line), format!("Status {{ status: {:?} }}", Some(text)));
    }
}

#[test]
fn a_lone_surrogate_does_not_spoil_a_raw_value() {
    let line = r#"{"type":"control_request","request_id":"1","request":{"subtype":"can_use_tool","input":"\ud83d"}}"#;
    let mut seen = Vec::new();
    claude_stream::Decoder::new(LIMIT).feed(format!("{line}\n").as_bytes(), |item| {
        let item = item.unwrap();
        assert_eq!(item.raw, line);
        if let claude_stream::AgentEvent::ControlRequest { request, .. } = item.event {
            let request: serde_json::Value = serde_json::from_str(request.get()).unwrap();
            seen.push(request["input"].as_str().unwrap().to_owned());
        }
    });
    assert_eq!(seen, ["\u{fffd}"]);
}

#[test]
fn the_limit_is_exact() {
    const SMALL: usize = 10;
    const OVER: &str = "TooLong { limit: 10 }";
    for chunk in [1, 3, 10, 11, 12, 100] {
        let input = b"1234567890\n12345678901\n123\n12345678901234567890123\r\n123456789\r\n1234567890\r\n7";
        assert_eq!(
            decoded(SMALL, input.chunks(chunk)),
            [
                r#"10 Unknown { kind: "" }"#,
                OVER,
                r#"3 Unknown { kind: "" }"#,
                OVER,
                r#"9 Unknown { kind: "" }"#,
                OVER, // its `\r` is the eleventh byte
                r#"1 Unknown { kind: "" }"#,
            ],
            "chunks of {chunk}"
        );
    }
}

#[test]
fn a_line_without_an_end_is_reported_before_it_ends() {
    let mut decoder = claude_stream::Decoder::new(4);
    let mut items = Vec::new();
    for _ in 0..1000 {
        decoder.feed(b"55555", |item| items.push(item.unwrap_err()));
    }
    decoder.finish(|item| items.push(item.unwrap_err()));
    assert_eq!(items, [claude_stream::LineError::TooLong { limit: 4 }]);
    decoder.feed(b"1\n", |item| assert_eq!(item.unwrap().raw, "1"));
}

#[test]
fn blank_lines_and_carriage_returns() {
    assert_eq!(
        decoded(LIMIT, [b"\n\r\n  \t\r\n1\r\n2\r\r\n\n3\r".as_slice()]),
        [r#"1 Unknown { kind: "" }"#, r#"2 Unknown { kind: "" }"#, r#"1 Unknown { kind: "" }"#,]
    );
}
