use domain::session::SessionKey;
use domain::task::{Answer, ErrorType, Failure, RepositoryProgress, Stage, TaskRecord, TaskRequest, TaskStatus};
use domain::usage::Usage;
use jiff::Timestamp;
use serde_json::json;
use sessions::session::{Changed, Status};

use store::{Answers, LISTED_CHARS};

use super::{changed, listed, task};

fn request() -> TaskRequest {
    TaskRequest {
        message: "Fix it".to_owned(),
        context: None,
        model: "claude-sonnet-4-6".to_owned(),
        max_turns: 300,
        timeout_ms: 600_000,
        max_cost_usd: Some(2.0),
        retry: 0,
        metadata: Some(json!({ "z": 1, "a": [null] })),
        key: None,
        key_limits: domain::access::KeyLimits::default(),
        repository: None,
        scripted: false,
        trace_parent: None,
        asks: None,
    }
}

fn record(status: TaskStatus) -> TaskRecord {
    TaskRecord {
        id: "00000000000000aa".parse().unwrap(),
        session: SessionKey::generate(),
        session_id: "s".parse().unwrap(),
        status,
        request: request(),
        created: Timestamp::UNIX_EPOCH,
        started: None,
        finished: None,
        attempt: 0,
        answer: None,
        failure: None,
        repository: None,
        waiting: false,
    }
}

fn answer(status: TaskStatus) -> Answer {
    Answer {
        task_id: "00000000000000aa".parse().unwrap(),
        session_id: "s".parse().unwrap(),
        status,
        output: None,
        response: Some("done".to_owned()),
        cost: 0.0,
        cli_cost: 1.0,
        duration: 7,
        tools: vec!["Bash".to_owned()],
        resumed: true,
        usage: Usage { input_tokens: 1, requests: 2, ..Usage::default() },
        price_assumed: false,
    }
}

fn json(record: &TaskRecord) -> String {
    serde_json::to_string(&task(record)).unwrap()
}

const HEAD: &str = r#"{"id":"00000000000000aa","taskId":"00000000000000aa","sessionId":"s","kind":"#;
const ASKED: &str = r#""prompt":"Fix it","context":null,"model":"claude-sonnet-4-6","maxTurns":300,"timeoutMs":600000,"maxCostUsd":2.0,"metadata":{"z":1,"a":[null]},"created":"1970-01-01T00:00:00.000Z","#;
const COUNTED: &str = r#""cost":0.0,"cliCost":1.0,"duration":7,"tools":["Bash"],"resumed":true,"usage":{"input_tokens":1,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"requests":2}"#;

#[test]
fn a_task_has_its_members_in_order() {
    assert_eq!(
        json(&record(TaskStatus::Queued)),
        format!(
            r#"{HEAD}"session","status":"queued",{ASKED}"started":null,"finished":null,"error":null,"errorType":null,"pr_url":null}}"#
        )
    );
    let mut completed = record(TaskStatus::Completed);
    completed.started = Some(Timestamp::UNIX_EPOCH);
    completed.finished = Some(Timestamp::UNIX_EPOCH);
    completed.answer = Some(answer(TaskStatus::Completed));
    assert_eq!(
        json(&completed),
        format!(
            r#"{HEAD}"session","status":"completed",{ASKED}"started":"1970-01-01T00:00:00.000Z","finished":"1970-01-01T00:00:00.000Z","error":null,"errorType":null,"pr_url":null,{COUNTED},"output":null,"response":"done"}}"#
        )
    );
    if let Some(answer) = &mut completed.answer {
        (answer.output, answer.response) = (Some(json!({ "b": 1, "a": 2 })), None);
    }
    assert!(json(&completed).ends_with(r#""output":{"b":1,"a":2},"response":null}"#));
}

#[test]
fn a_failure_is_shown_when_the_task_has_ended() {
    let mut failed = record(TaskStatus::Running);
    failed.failure = Some(Failure::new(ErrorType::MaxTurns, "too many"));
    failed.answer = Some(answer(TaskStatus::Failed));
    assert!(json(&failed).ends_with(r#""error":null,"errorType":null,"pr_url":null}"#), "its work is handed in");
    failed.status = TaskStatus::Failed;
    let end = format!(r#""error":"too many","errorType":"max_turns","pr_url":null,{COUNTED}}}"#);
    assert!(json(&failed).ends_with(&end), "{}", json(&failed));
}

#[test]
fn a_repository_task_tells_where_it_works() {
    let mut running = record(TaskStatus::Running);
    running.repository = Some(RepositoryProgress::default());
    assert_eq!(
        json(&running),
        format!(
            r#"{HEAD}"repository","status":"running",{ASKED}"started":null,"finished":null,"error":null,"errorType":null,"pr_url":null,"stage":null,"repo":null,"branch":null,"summary":null}}"#
        )
    );
    running.repository = Some(RepositoryProgress {
        stage: Some(Stage::Worker),
        stage_began: None,
        repo: Some("acme/api".parse().unwrap()),
        branch: Some("claude/1".to_owned()),
        pull_url: Some("https://forge/1".to_owned()),
        summary: Some("Fixed".to_owned()),
    });
    let end = r#""pr_url":"https://forge/1","stage":"worker","repo":"acme/api","branch":"claude/1","summary":"Fixed"}"#;
    assert!(json(&running).ends_with(end), "{}", json(&running));
}

#[test]
fn a_change_is_the_record_of_the_lists() {
    let text = |change: &Changed<'_>| String::from_utf8(changed(change).to_vec()).unwrap();
    let record = record(TaskStatus::Queued);
    assert_eq!(text(&Changed::Task(&record)), json(&record));
    assert_eq!(text(&Changed::SessionDeleted(&"a\"b".parse().unwrap())), r#"{"sessionId":"a\"b"}"#);
    let session = domain::session::SessionRecord {
        epoch: domain::session::Epoch::from_number(1),
        key: SessionKey::generate(),
        id: "s".parse().unwrap(),
        agent: domain::agent::AgentName::default(),
        created: Timestamp::UNIX_EPOCH,
        last_active: Timestamp::UNIX_EPOCH,
        turns: 1,
        claude_session_id: None,
        env: [].into(),
        last_seq: 3,
        sandbox: None,
        repository: None,
    };
    let status = Status { busy: true, running: true, queued: 2, state: "running" };
    assert_eq!(
        text(&Changed::Session(&session, status, 4)),
        r#"{"sessionId":"s","agent":"default","created":"1970-01-01T00:00:00.000Z","lastActive":"1970-01-01T00:00:00.000Z","turns":1,"busy":true,"queued":2,"state":"running","seq":4,"sdkSessionId":null,"epoch":"0000000000000001"}"#
    );
}

#[test]
fn a_list_has_no_long_text_and_answers_when_asked() {
    let mut completed = record(TaskStatus::Completed);
    completed.answer = Some(answer(TaskStatus::Completed));
    completed.request.message = "é".repeat(LISTED_CHARS);
    let short = listed(&completed, Answers::Short);
    assert_eq!((&short.prompt, short.truncated), (&completed.request.message, None));
    assert_eq!((short.output, short.response), (None, None));
    completed.request.context = Some("é".repeat(LISTED_CHARS + 1));
    let full = listed(&completed, Answers::Whole);
    assert_eq!((full.context.unwrap().chars().count(), full.truncated), (LISTED_CHARS, Some(true)));
    assert_eq!(full.response, Some(api_types::Nullable(Some("done".to_owned()))));
}

#[test]
fn a_list_cuts_whatever_an_agent_may_have_made_long() {
    let long = || "é".repeat(LISTED_CHARS + 1);
    let mut by_error = record(TaskStatus::Failed);
    by_error.failure = Some(Failure::new(ErrorType::ExitCode, long()));
    let mut by_summary = record(TaskStatus::Completed);
    by_summary.repository = Some(RepositoryProgress { summary: Some(long()), ..RepositoryProgress::default() });
    let mut by_tools = record(TaskStatus::Completed);
    by_tools.answer = Some(domain::task::Answer { tools: vec!["x".repeat(100); 21], ..answer(TaskStatus::Completed) });
    for record in [by_error, by_summary, by_tools] {
        let (whole, shown) = (task(&record), listed(&record, Answers::Whole));
        assert_eq!((whole.truncated, shown.truncated), (None, Some(true)));
        let lengths = [
            shown.error.map_or(0, |error| error.chars().count()),
            shown.summary.and_then(|summary| summary.0).map_or(0, |summary| summary.chars().count()),
            shown.tools.map_or(0, |tools| tools.concat().len()),
        ];
        assert_eq!(lengths.iter().max(), Some(&LISTED_CHARS));
    }
}
