//! The content of tool results as text.

use crate::event;

#[test]
fn content_is_flattened_to_text() {
    for (content, text) in [
        (r#""plain""#, "plain"),
        (r#""two\nlines""#, "two\nlines"),
        ("null", ""),
        ("[]", ""),
        (r#"[{"type":"text","text":"one"}]"#, "one"),
        (r#"[{"type":"text","text":"one"},{"type":"text","text":"two\t"}]"#, "one\ntwo\t"),
        (
            r#"[{"type":"image","source":{"data":"AAAA"}},{"text":"below","type":"text"},{"type":"tool_reference"}]"#,
            "[image]\nbelow\n[tool_reference]",
        ),
    ] {
        let line = format!(
            r#"{{"type":"user","message":{{"role":"user","content":[{{"tool_use_id":"t","type":"tool_result","content":{content},"is_error":true}},{{"type":"text","text":"x"}}]}}}}"#
        );
        let expected = format!(
            r#"ToolResults {{ parent: None, results: [ToolResult {{ tool_use_id: "t", content: {text:?}, is_error: true }}] }}"#
        );
        assert_eq!(event(&line), expected);
    }
}

#[test]
fn several_results_in_one_line() {
    let line = r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"a"},{"type":"tool_result","tool_use_id":"b","content":"x"}]},"parent_tool_use_id":"p"}"#;
    let expected = r#"ToolResults { parent: Some("p"), results: [ToolResult { tool_use_id: "a", content: "", is_error: false }, ToolResult { tool_use_id: "b", content: "x", is_error: false }] }"#;
    assert_eq!(event(line), expected);
}

#[test]
fn a_replay_is_one_whatever_it_holds() {
    for message in [r#"{"content":"hi"}"#, r#"{"content":[{"type":"tool_result"}]}"#, "7"] {
        let line = format!(r#"{{"type":"user","message":{message},"uuid":"u","isReplay":true}}"#);
        assert_eq!(event(&line), r#"UserReplay { uuid: "u" }"#);
    }
}
