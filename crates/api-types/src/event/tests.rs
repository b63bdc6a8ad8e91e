use std::collections::BTreeSet;

use domain::ask::{
    AskDecision, AskEnd, AskKind, AskRecord, AskState, DecidedBy, OnTimeout, Question, QuestionOption, Remember,
};
use domain::event::{EndedBy, Event, Origin, Phase, QueuedReason, ResetReason, WarningCode};
use domain::task::{Answer, ErrorType, Failure, Stage, TaskStatus};
use domain::usage::Usage;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Event as Wire;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

/// An ask with every member, or with the fewest while it is open.
fn ask(state: AskState) -> Box<AskRecord> {
    let object = || json!({ "z": 1, "a": [null, "b"] });
    let rule = || "Bash(git push:*)".parse().ok();
    let is_open = state == AskState::Open;
    let option =
        QuestionOption { label: "A".to_owned(), description: "first".to_owned(), preview: Some("p".to_owned()) };
    let question =
        Question { question: "Which?".to_owned(), header: "W".to_owned(), options: vec![option], multi_select: true };
    let end = AskEnd {
        ended: Some(Timestamp::UNIX_EPOCH),
        decision: Some(AskDecision::Deny),
        by: Some(DecidedBy::Timeout),
        message: Some("m".to_owned()),
        answers: object().as_object().cloned(),
        changed_input: object().as_object().cloned(),
        remember: Some(Remember::Session),
    };
    Box::new(AskRecord {
        id: "00000000000000bb".parse().unwrap(),
        session_id: "s".parse().unwrap(),
        task_id: "00000000000000aa".parse().unwrap(),
        kind: AskKind::Permission,
        state,
        tool: "Bash".to_owned(),
        tool_use_id: "toolu_2".to_owned(),
        input: object(),
        truncated: !is_open,
        title: (!is_open).then(|| "t".to_owned()),
        description: (!is_open).then(|| "d".to_owned()),
        asked_by: rule().filter(|_| !is_open),
        rule: rule().filter(|_| !is_open),
        questions: if is_open { Vec::new() } else { vec![question] },
        created: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
        on_timeout: OnTimeout::Fail,
        end: if is_open { AskEnd::default() } else { end },
    })
}

/// Every type in every form that it has.
fn events() -> Vec<Event> {
    let session = || "s".parse().unwrap();
    let failure = || Failure::new(ErrorType::MaxTurns, "too many");
    let within = || Origin { parent_tool_use_id: Some("toolu_1".to_owned()) };
    let answer = |output, response| Answer {
        task_id: "00000000000000aa".parse().unwrap(),
        session_id: session(),
        status: TaskStatus::Completed,
        output,
        response,
        cost: 0.0,
        cli_cost: 0.01,
        duration: 1,
        tools: vec!["Bash".to_owned()],
        resumed: true,
        usage: Usage { input_tokens: 3, ..Usage::default() },
        price_assumed: false,
    };
    let reasons = [QueuedReason::Session, QueuedReason::Capacity, QueuedReason::Memory, QueuedReason::Branch];
    let mut events: Vec<Event> = reasons
        .map(Some)
        .into_iter()
        .chain([None])
        .map(|reason| Event::TaskQueued { session_id: session(), position: 2, reason })
        .collect();
    events.extend([
        Event::TaskStart { session_id: session() },
        Event::Stage {
            stage: Stage::Orchestrator,
            repo: None,
            branch: None,
            pr_url: None,
            not_cloned: vec!["The submodule a is not cloned: b".to_owned()],
        },
        Event::Stage {
            stage: Stage::Worker,
            repo: Some("acme/api".parse().unwrap()),
            branch: Some("b".to_owned()),
            pr_url: Some("https://forge/1".to_owned()),
            not_cloned: Vec::new(),
        },
        Event::Init {
            session_id: session(),
            model: "m".to_owned(),
            tools: vec!["Bash".to_owned()],
            claude_session_id: "c".to_owned(),
        },
        Event::ThinkingStart(Origin::default()),
        Event::ThinkingStart(within()),
        Event::Thinking { text: "t".to_owned(), origin: within() },
        Event::Text { text: "a \"quoted\"\nline".to_owned(), origin: Origin::default() },
        Event::Text { text: "t".to_owned(), origin: within() },
        Event::ToolStart {
            tool: "Bash".to_owned(),
            input: raw(r#"{"z":1,"a":[null,2.5]}"#),
            truncated: false,
            tool_use_id: "toolu_2".to_owned(),
            origin: within(),
        },
        Event::ToolStart {
            tool: "Bash".to_owned(),
            input: raw(r#""{\"z""#),
            truncated: true,
            tool_use_id: "toolu_2".to_owned(),
            origin: Origin::default(),
        },
        Event::ToolEnd {
            tool_use_id: "toolu_2".to_owned(),
            result: "r".to_owned(),
            is_error: true,
            truncated: true,
            origin: within(),
        },
        Event::Retry {
            attempt: 1,
            max_retries: 10,
            delay_ms: 500,
            status: Some(502),
            reason: "server_error".to_owned(),
            discards_from: Some(4),
        },
        Event::Retry {
            attempt: 1,
            max_retries: 10,
            delay_ms: 500,
            status: None,
            reason: "r".to_owned(),
            discards_from: None,
        },
        Event::TaskComplete(Box::new(answer(None, Some("done".to_owned())))),
        Event::TaskComplete(Box::new(answer(Some(json!({ "b": 1, "a": 2 })), None))),
        Event::TaskFailed(failure()),
        Event::Warning {
            code: WarningCode::McpServerFailed,
            message: "m".to_owned(),
            server: Some("notes".to_owned()),
        },
        Event::Warning { code: WarningCode::HomeRepaired, message: "m".to_owned(), server: None },
        Event::Ask { ask: ask(AskState::Open) },
        Event::AskAnswered { ask: ask(AskState::Answered) },
        Event::AskExpired { ask: ask(AskState::Expired) },
        Event::AskWithdrawn { ask: ask(AskState::Withdrawn) },
        Event::SessionDeleted {},
        Event::Raw { event: raw(r#"{"type":"new"}"#) },
    ]);
    events.extend(
        [Phase::Started, Phase::Updated, Phase::Ended].map(|phase| Event::Subagent { phase, frame: raw("{}") }),
    );
    let enders = [EndedBy::Request, EndedBy::Reset, EndedBy::Delete, EndedBy::Shutdown];
    events.extend(enders.map(|by| Event::Abort { by, failure: failure() }));
    events.extend([ResetReason::Reset, ResetReason::TranscriptLost].map(|reason| Event::SessionReset { reason }));
    events
}

#[test]
fn each_event_of_the_server_is_one_of_the_wire_byte_for_byte() {
    let task = "00000000000000aa".parse().unwrap();
    let mut kinds = BTreeSet::new();
    for event in events() {
        // These are about the session.
        let of_session = matches!(event, Event::SessionReset { .. } | Event::SessionDeleted {});
        let written = event.number(7, Timestamp::UNIX_EPOCH, (!of_session).then_some(&task)).json;
        let read: Wire = serde_json::from_slice(&written).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap().as_bytes(), written, "{read:?}");
        assert!(!serde_json::to_string(&read).unwrap().contains("unknown"));
        kinds.insert(event.kind());
    }
    // The stream's own two are written from here.
    kinds.extend(["connected", "gap"]);
    let schema = serde_json::to_value(<Wire as utoipa::PartialSchema>::schema()).unwrap();
    let described = schema["oneOf"].as_array().unwrap().iter();
    let described: BTreeSet<&str> =
        described.map(|one| one["allOf"][1]["properties"]["type"]["enum"][0].as_str().unwrap()).collect();
    assert_eq!(kinds, described);
}

#[test]
fn events_and_words_of_a_newer_server_are_unknown() {
    let event: Wire = serde_json::from_value(json!({ "type": "new", "seq": 1 })).unwrap();
    assert_eq!(event, Wire::Unknown);
    let abort = json!({
        "type": "abort", "seq": 1, "ts": "2026-11-21T10:25:07.040Z", "taskId": "00000000000000aa", "by": "somebody",
        "errorType": "somehow", "error": "a sentence", "more": Value::Null,
    });
    let Wire::Abort(abort) = serde_json::from_value(abort).unwrap() else { panic!("not an abort") };
    assert_eq!((abort.by, crate::word(&abort.error_type).as_str()), (super::AbortedBy::Unknown, "unknown"));
}
