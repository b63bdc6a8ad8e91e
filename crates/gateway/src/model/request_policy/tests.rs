use super::*;

#[test]
fn what_the_api_would_fetch_is_found_wherever_it_stands() {
    let message = |content: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
    for (body, violation) in [
        (message(r#"[{"type":"image","source":{"type":"url","url":"http://a/?x"}}]"#), PolicyViolation::Url),
        (message(r#"[{"type":"image","source":{"type":"base64","\u0075rl":"http://a"}}]"#), PolicyViolation::Url),
        (
            message(r#"[{"type":"tool_result","content":[{"type":"document","source":{"url":"http://a"}}]}]"#),
            PolicyViolation::Url,
        ),
        (
            message(r#"[{"type":"document","source":{"type":"content","content":[{"source":{"url":1}}]}}]"#),
            PolicyViolation::Url,
        ),
        (message(r#"[{"type":"image","source":{"type":"file","file_id":"f"}}]"#), PolicyViolation::File),
        (message(r#"[{"type":"container_upload","file_id":"f"}]"#), PolicyViolation::File),
        (r#"{"mcp_servers":[{"type":"url","url":"https://a"}]}"#.to_owned(), PolicyViolation::Connector),
        (r#"{"model":"m","container":"c"}"#.to_owned(), PolicyViolation::Connector),
        (
            r#"{"tools":[{"name":"a","input_schema":{}},{"type":"web_fetch_20250910"}]}"#.to_owned(),
            PolicyViolation::Tool,
        ),
        (r#"{"tools":[{"type":"code_execution_20250522"}]}"#.to_owned(), PolicyViolation::Tool),
        (r#"{"tools":[{"type":"custom","type":"mcp_toolset"}]}"#.to_owned(), PolicyViolation::Tool),
        (r#"{"model":"m","speed":"fast"}"#.to_owned(), PolicyViolation::Price),
        (r#"{"model":"m","sp\u0065ed":"fast"}"#.to_owned(), PolicyViolation::Price),
        (r#"{"model":"m","inference_geo":"us"}"#.to_owned(), PolicyViolation::Price),
        (r#"{"model":"m","service_tier":"auto"}"#.to_owned(), PolicyViolation::Price),
        (r#"{"model":"m","service_tier":["standard_only"]}"#.to_owned(), PolicyViolation::Price),
        (r#"{"model":"m","compaction":{}}"#.to_owned(), PolicyViolation::Price),
        (r#"{"model":"m","fallbacks":[{"model":"n"}]}"#.to_owned(), PolicyViolation::Price),
        (r#"{"context_management":{"edits":[{"type":"compact_20260112"}]}}"#.to_owned(), PolicyViolation::Price),
        ("not JSON".to_owned(), PolicyViolation::Unreadable),
        (message(&format!("{}{}", "[".repeat(200), "]".repeat(200))), PolicyViolation::Unreadable),
    ] {
        assert_eq!(check(body.as_bytes()), Err(violation), "{body}");
    }
}

#[test]
fn the_agents_own_words_pass() {
    for body in [
        r#"{"model":"m","messages":[{"role":"user","content":"see http://a"}],"container":null}"#,
        r#"{"messages":[{"content":[{"type":"tool_use","input":{"source":{"url":"http://a","file_id":"f"}}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"web_search_tool_result","content":[{"url":"http://a"}]}]}]}"#,
        r#"{"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"aa"}}]}]}"#,
        r#"{"tools":[{"name":"a","input_schema":{"type":"object","properties":{"url":{"type":"x"}}}}]}"#,
        r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}],"stream":true,"n":[1,-1,0.5,null]}"#,
    ] {
        assert!(check(body.as_bytes()).is_ok(), "{body}");
    }
}

#[test]
fn what_holds_anyhow_may_be_said() {
    let body = r#"{"model":"m","speed":"standard","inference_geo":"global","service_tier":"standard_only",
        "compaction":null,"context_management":{"edits":[{"type":"clear_thinking_20251015"}]}}"#;
    assert_eq!(check(body.as_bytes()), Ok(Contents::default()));
}

#[test]
fn what_decides_the_use_is_found_wherever_it_stands() {
    let body = r#"{"model":"m","new_field":{"a":1},"other":null,"tools":[{"name":"a","input_schema":{}},
        {"type":"bash_20250124","name":"bash"},{"max_uses":8,"type":"web_search_20250305","name":"web_search"}],
        "messages":[{"role":"user","content":[
            {"type":"image","source":{"data":"aaaa","media_type":"image/png","type":"base64"}},
            {"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"}},
            {"type":"tool_result","content":[
                {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"bbbbbb"}}]}]}]}"#;
    let expected = Contents {
        images: 1,
        documents: 1,
        attached_bytes: 10,
        tools: 3,
        api_tools: 2,
        server_tools: 1,
        max_uses: 8,
        unknown_fields: 1,
    };
    assert_eq!(check(body.as_bytes()), Ok(expected));
}
