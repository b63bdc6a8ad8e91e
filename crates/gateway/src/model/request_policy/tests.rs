use super::*;

fn contents(body: &str) -> Result<Contents, PolicyViolation> {
    check(body.as_bytes()).map(|checked| checked.contents)
}

fn price(field: &str) -> PolicyViolation {
    PolicyViolation::Price { field: field.to_owned() }
}

#[test]
fn a_refusal_names_its_field() {
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(2000));
    for (body, field) in [
        (r#"{"batch_hint":1}"#, "batch_hint: "),
        (r#"{"messages":[{"service_tier":"priority"}]}"#, "service_tier: "),
        (r#"{"context_management":{"edits":[{"type":"compact_20260112"}]}}"#, "context_management: "),
        (long.as_str(), "model: at most 256 characters"),
    ] {
        let sentence = contents(body).unwrap_err().to_string();
        assert!(sentence.starts_with(field), "{sentence}");
    }
}

#[test]
fn the_name_of_a_model_has_at_most_256_characters_however_they_are_written() {
    let ask = |name: &str| contents(&format!(r#"{{"model":"{name}","messages":[]}}"#));
    for character in ["a", "é", r"\u0061", r"\ud83d\ude00"] {
        assert!(ask(&character.repeat(256)).is_ok(), "{character}");
        assert_eq!(ask(&character.repeat(257)).err(), Some(PolicyViolation::ModelName), "{character}");
    }
}

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
        (r#"{"model":"m","speed":"fast"}"#.to_owned(), price("speed")),
        (r#"{"model":"m","sp\u0065ed":"fast"}"#.to_owned(), price("speed")),
        (r#"{"model":"m","inference_geo":"us"}"#.to_owned(), price("inference_geo")),
        (r#"{"model":"m","service_tier":"auto"}"#.to_owned(), price("service_tier")),
        (r#"{"model":"m","service_tier":["standard_only"]}"#.to_owned(), price("service_tier")),
        (r#"{"model":"m","compaction":{}}"#.to_owned(), price("compaction")),
        (r#"{"model":"m","fallbacks":[{"model":"n"}]}"#.to_owned(), price("fallbacks")),
        (r#"{"context_management":{"edits":[{"type":"compact_20260112"}]}}"#.to_owned(), PolicyViolation::Compaction),
        ("not JSON".to_owned(), PolicyViolation::Unreadable),
        (message(&format!("{}{}", "[".repeat(200), "]".repeat(200))), PolicyViolation::Unreadable),
    ] {
        assert_eq!(contents(&body), Err(violation), "{body}");
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
    assert_eq!(contents(body), Ok(Contents::default()));
    let betas = r#"{"model":"m","betas":["claude-code-20250219"],"anthropic_beta":[]}"#;
    assert_eq!(contents(betas), Ok(Contents::default()));
}

/// A gateway in front of the API may take an option of any part of a request for the whole of it.
#[test]
fn what_changes_the_price_is_found_wherever_it_stands() {
    for body in [
        r#"{"output_config":{"speed":"fast"}}"#,
        r#"{"messages":[{"role":"user","speed":"fast","content":"a"}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"service_tier":"priority"}}]}]}"#,
        r#"{"messages":[{"role":"user","output_config":{"inference_geo":"us"}}]}"#,
        r#"{"system":[{"type":"text","text":"a","speed":"fast"}]}"#,
        r#"{"thinking":{"type":"enabled","speed":"fast"}}"#,
        r#"{"metadata":{"service_tier":"priority"}}"#,
        r#"{"diagnostics":{"a":[{"inference_geo":"us"}]}}"#,
        r#"{"tools":[{"name":"a","input_schema":{},"speed":"fast"}]}"#,
        r#"{"tools":[{"name":"a","cache_control":{"fallbacks":[{"model":"m"}]}}]}"#,
        r#"{"context_management":{"edits":[{"type":"clear_thinking_20251015","speed":"fast"}]}}"#,
        r#"{"provider_options":{"anthropic":{"service_tier":"priority"}}}"#,
        // Fields of a later version whose names show that they have their own price.
        r#"{"processing_tier":"turbo"}"#,
        r#"{"fast_mode":true}"#,
        r#"{"Priority":1}"#,
    ] {
        assert!(matches!(contents(body), Err(PolicyViolation::Price { .. })), "{body}");
    }
    for body in [
        r#"{"messages":[{"content":[{"type":"tool_use","input":{"speed":"fast","service_tier":"x"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"text","text":"\"speed\":\"fast\""}]}]}"#,
        r#"{"tools":[{"name":"a","input_schema":{"properties":{"speed":{"type":"string"},"fallbacks":{}}}}]}"#,
        r#"{"output_config":{"format":{"type":"json_schema","schema":{"properties":{"speed":{}}}},"effort":"high"}}"#,
        r#"{"output_format":{"type":"json_schema","schema":{"properties":{"service_tier":{}}}}}"#,
    ] {
        assert!(contents(body).is_ok(), "{body}");
    }
}

#[test]
fn betas_in_the_body_are_those_of_the_header() {
    for body in [
        r#"{"betas":["fast-mode-2026-02-01"]}"#,
        r#"{"anthropic_beta":["claude-code-20250219","compact-2026-01-12"]}"#,
        r#"{"anthropic_beta":"fast-mode-2026-02-01"}"#,
        r#"{"b\u0065tas":[["fast-mode-2026-02-01"]]}"#,
    ] {
        assert_eq!(contents(body), Err(PolicyViolation::Betas), "{body}");
    }
}

#[test]
fn tools_that_run_at_the_api_have_no_bound() {
    let tools = |kind: &str| contents(&format!(r#"{{"tools":[{{"type":"{kind}","name":"a"}}]}}"#)).unwrap();
    for (kind, at_the_api, searches) in [
        ("custom", 0, 0),
        ("bash_20250124", 0, 0),
        ("memory_20250818", 0, 0),
        ("tool_search_tool_regex_20251119", 1, 0),
        ("web_search_20250305", 1, 1),
    ] {
        assert_eq!((tools(kind).server_tools, tools(kind).search_tools), (at_the_api, searches), "{kind}");
    }
    // A message can add a tool too.
    let added = |kind: &str| {
        contents(&format!(
            r#"{{"messages":[{{"role":"system","content":[{{"type":"tool_addition",
                "tool":{{"type":"tool_definition","definition":{{"type":"{kind}"}}}}}}]}}]}}"#
        ))
    };
    assert_eq!(added("web_search_20250305").unwrap().search_tools, 1);
    assert_eq!(added("code_execution_20250522"), Err(PolicyViolation::Tool));
}

#[test]
fn unknown_fields_are_named() {
    let checked = check(br#"{"model":"m","thread":{"a":1},"other":null,"resumption":1}"#).unwrap();
    assert_eq!(checked.unknown_fields, ["thread", "resumption"]);
    assert_eq!(checked.contents.unknown_fields, 2);
}

/// The most memory that this process had so far, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// An array of numbers takes many times its size as a value, so nothing that an agent wrote is kept as one.
#[test]
fn a_value_is_not_built_whatever_its_size() {
    let numbers = format!("[{}0]", "0,".repeat(4 << 20));
    for body in [
        format!(r#"{{"unknown":{numbers}}}"#),
        format!(r#"{{"container":{numbers}}}"#),
        format!(r#"{{"speed":{numbers}}}"#),
        format!(r#"{{"betas":{numbers}}}"#),
        format!(r#"{{"tools":[{{"type":{numbers}}}]}}"#),
        format!(r#"{{"tools":[{{"max_uses":{numbers}}}]}}"#),
        format!(r#"{{"messages":[{{"source":{{"data":{numbers},"type":{numbers},"media_type":{numbers}}}}}]}}"#),
    ] {
        let before = peak_kib();
        let _ = check(body.as_bytes());
        let grown = peak_kib() - before;
        assert!(grown < 32 << 10, "{grown} KiB for {}…", &body[..40]);
    }
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
        search_tools: 1,
        max_uses: 8,
        unknown_fields: 1,
    };
    assert_eq!(contents(body), Ok(expected));
}
