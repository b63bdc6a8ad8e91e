//! Encoded input: one line of JSON each, equal to the input in the recordings.

use std::collections::BTreeMap;

use claude_stream::{AgentEvent, ControlRequest, Decoder, ToolPermission, allow_tool, deny_tool, user_message};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::transcripts;

/// Parses the line and checks that it has one line break, at its end.
fn parsed(line: &str) -> Value {
    assert_eq!(line.find('\n'), Some(line.len() - 1), "{line:?}");
    assert!(!line.contains(['\r', '\u{2028}', '\u{2029}']), "{line:?}");
    serde_json::from_str(line).unwrap()
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn requests_are_those_of_the_recordings() {
    let schema = raw(r#"{"type":"object","properties":{"action":{"type":"string"}},"required":["action"]}"#);
    let initialize = ControlRequest::Initialize {
        system_prompt: Some("You are a support agent."),
        json_schema: Some(&schema),
        hook: None,
    };
    let env = env(&[("ACME_API_TOKEN", "a-token")]);
    let settings = ControlRequest::ApplyFlagSettings { env: &env };
    let recorded = transcripts::sent("initialize_then_set_env");
    assert!(recorded.contains(&parsed(&initialize.to_line("init1"))), "{recorded:#?}");
    assert!(recorded.contains(&parsed(&settings.to_line("env1"))), "{recorded:#?}");

    let recorded = transcripts::sent("set_model");
    let set_model = ControlRequest::SetModel { model: "claude-opus-4-6" };
    assert!(recorded.contains(&parsed(&set_model.to_line("m1"))), "{recorded:#?}");

    let recorded = transcripts::sent("interrupt_then_next_message");
    assert!(recorded.contains(&parsed(&ControlRequest::Interrupt.to_line("int1"))), "{recorded:#?}");
}

#[test]
fn answers_are_those_of_the_recordings() {
    let recorded = transcripts::sent("permission_allowed");
    let input = raw(r#"{"command": "touch /workspace/x; echo ok", "description": "scripted"}"#);
    let allow = allow_tool("1ca0e1ef-adbb-45c1-87b0-7b4d5640bfcf", Some(&input));
    assert!(recorded.contains(&parsed(&allow)), "{recorded:#?}");

    let recorded = transcripts::sent("permission_denied");
    let deny = deny_tool("d377d37b-de82-4c51-87d4-cec5dc41850a", "the operator said no");
    assert!(recorded.contains(&parsed(&deny)), "{recorded:#?}");
}

#[test]
fn a_check_of_the_cli_is_answered_with_the_input_that_it_asks_about() {
    let mut answers = Vec::new();
    for (name, stdout) in transcripts::all().into_iter().filter(|(name, _)| name == "safety_check") {
        Decoder::new(crate::LIMIT).feed(&stdout, |line| {
            if let AgentEvent::ControlRequest { request_id, request, .. } = line.unwrap().event {
                let permission = ToolPermission::read(request).unwrap();
                assert_eq!((&*permission.tool, permission.reason.as_deref()), ("Bash", Some("safetyCheck")), "{name}");
                answers.push(parsed(&allow_tool(&request_id, Some(permission.input))));
            }
        });
    }
    let [answer] = &answers[..] else { panic!("{answers:#?}") };
    assert!(transcripts::sent("safety_check").contains(answer), "{answer:#}");
}

#[test]
fn an_initialize_leaves_out_what_it_does_not_set() {
    let line = ControlRequest::Initialize { system_prompt: None, json_schema: None, hook: None }.to_line("1");
    assert_eq!(
        parsed(&line),
        json!({"type": "control_request", "request_id": "1", "request": {"subtype": "initialize"}})
    );
}

#[test]
fn a_schema_keeps_the_order_of_its_keys_and_loses_its_line_ends() {
    let schema = raw("{\r\n  \"z\": \"line\\nend\",\n  \"a\": 1\n}");
    let line = ControlRequest::Initialize { system_prompt: None, json_schema: Some(&schema), hook: None }.to_line("1");
    assert_eq!(parsed(&line)["request"]["jsonSchema"], json!({"z": "line\nend", "a": 1}));
    assert!(line.find("\"z\"") < line.find("\"a\""), "{line}");
}

#[test]
fn a_message_is_never_a_command() {
    for (text, sent) in [
        ("hello", "hello"),
        ("and/or", "and/or"),
        ("", ""),
        (" hello /clear", " hello /clear"),
        ("/clear", "\n/clear"),
        ("/", "\n/"),
        ("  /clear", "\n  /clear"),
        ("\n/clear", "\n\n/clear"),
        ("\u{feff}\u{a0}/clear", "\n\u{feff}\u{a0}/clear"),
    ] {
        assert_eq!(
            parsed(&user_message("id-1", text)),
            json!({"type": "user", "uuid": "id-1", "priority": "later", "message": {"role": "user", "content": sent}})
        );
    }
}

#[test]
fn a_value_of_an_environment_variable_is_not_printed() {
    let env = env(&[("ACME_API_TOKEN", "the-secret")]);
    let request = ControlRequest::ApplyFlagSettings { env: &env };
    for printed in [format!("{request:?}"), format!("{request:#?}")] {
        assert!(printed.contains("ACME_API_TOKEN"), "{printed}");
        assert!(!printed.contains("the-secret"), "{printed}");
    }
}

proptest! {
    #[test]
    fn any_text_arrives_as_it_was(text: String, odd in "[\n\r\u{2028}\u{2029}\0\"\\\\/a ]{0,12}") {
        let text = odd + &text;
        let message = parsed(&user_message(&text, &text));
        prop_assert_eq!(message["uuid"].as_str(), Some(text.as_str()));
        let content = message["message"]["content"].as_str().unwrap();
        prop_assert_eq!(content.strip_prefix('\n').filter(|rest| *rest == text).unwrap_or(content), &text);

        let env = BTreeMap::from([(text.clone(), text.clone())]);
        let settings = parsed(&ControlRequest::ApplyFlagSettings { env: &env }.to_line(&text));
        prop_assert_eq!(&settings["request"]["settings"]["env"][&text], &json!(text));
        prop_assert_eq!(&settings["request_id"], &json!(text));

        let deny = parsed(&deny_tool(&text, &text));
        prop_assert_eq!(&deny["response"]["response"], &json!({"behavior": "deny", "message": text}));

        let input = raw(&format!("[\n{}\r\n]", json!(text)));
        let allow = parsed(&allow_tool(&text, Some(&input)));
        prop_assert_eq!(&allow["response"]["response"], &json!({"behavior": "allow", "updatedInput": [text]}));
    }
}
