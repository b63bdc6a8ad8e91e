//! A `result` line gives an event even if its fields have changed.

use claude_stream::{AgentEvent, Decoder, ResultSubtype, TurnResult};

fn with_result<T>(line: &str, check: impl Fn(TurnResult<'_>) -> T) -> T {
    let mut checked = None;
    Decoder::new(line.len()).feed(format!("{line}\n").as_bytes(), |line| match line.unwrap().event {
        AgentEvent::Result(result) => checked = Some(check(result)),
        other => panic!("{other:?}"),
    });
    checked.unwrap()
}

#[test]
fn subtypes() {
    for (subtype, expected) in [
        ("success", ResultSubtype::Success),
        ("error_max_turns", ResultSubtype::ErrorMaxTurns),
        ("error_max_budget_usd", ResultSubtype::ErrorMaxBudget),
        ("error_during_execution", ResultSubtype::ErrorDuringExecution),
        ("error_max_structured_output_retries", ResultSubtype::ErrorMaxStructuredOutputRetries),
        ("error_tomorrow", ResultSubtype::Other("error_tomorrow".into())),
    ] {
        let is_error = expected != ResultSubtype::Success;
        with_result(&format!(r#"{{"type":"result","subtype":"{subtype}"}}"#), |result| {
            assert_eq!(result.subtype, expected);
            assert_eq!(result.is_error, is_error, "{subtype} without is_error");
        });
    }
}

#[test]
fn a_field_that_does_not_fit_takes_no_other_with_it() {
    let line = r#"{"type":"result","subtype":["new"],"is_error":"no","api_error_status":"529","result":"done","structured_output":{"a": 1},"session_id":7,"num_turns":1.5,"total_cost_usd":0.5,"duration_ms":-1,"terminal_reason":{},"errors":"one"}"#;
    with_result(line, |result| {
        assert_eq!(result.subtype, ResultSubtype::Other("".into()));
        assert!(result.is_error);
        assert_eq!(result.api_error_status, None);
        assert_eq!(result.result.as_deref(), Some("done"));
        assert_eq!(result.structured_output.unwrap().get(), r#"{"a": 1}"#);
        assert_eq!(result.session_id, "");
        assert_eq!(result.num_turns, 0);
        assert_eq!(result.total_cost_usd, Some(0.5));
        assert_eq!(result.duration_ms, 0);
        assert_eq!(result.terminal_reason, None);
        assert_eq!(result.errors.len(), 0);
    });
}
