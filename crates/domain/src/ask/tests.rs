//! Policies against calls: each line of a table is a call and its verdict.

mod commands;

use serde_json::{Value, json};

use super::{
    AskAnswer, AskDecision, AskEnd, AskId, AskKind, AskPolicy, AskRecord, AskState, Narrowing, OnTimeout, Remembered,
    Rule, Stance, ToolCall, Verdict, questions_of, rule_to_remember,
};

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).collect()
}

fn policy(tools: Stance, allow: &[&str], ask: &[&str], deny: &[&str]) -> AskPolicy {
    AskPolicy { tools, allow: rules(allow), ask: rules(ask), deny: rules(deny), ..AskPolicy::default() }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Undecided => "undecided",
        Verdict::Ask(_) => "ask",
        Verdict::Deny(_) => "deny",
    }
}

fn bash(command: &str) -> ToolCall {
    ToolCall::new("Bash", &json!({ "command": command }).to_string())
}

#[test]
fn other_tools_against_rules() {
    let policy = policy(
        Stance::Ask,
        &["Read", "Edit(/src/**)", "Edit(*.md)", "WebFetch(domain:example.com)", "mcp__notes", "mcp__shop__list_*"],
        &["mcp__billing__*"],
        &["Read(.env)", "Edit(/src/secret)", "mcp__notes__delete", "WebSearch"],
    );
    let table = [
        ("Read", json!({ "file_path": "/workspace/a" }), "allow"),
        ("Read", json!({ "file_path": "/workspace/.env" }), "deny"),
        ("Read", json!({ "file_path": "/workspace/deep/.env" }), "deny"),
        ("Read", json!({ "file_path": "/workspace/x/../.env" }), "deny"),
        ("Read", json!({ "file_path": 7 }), "ask"),
        ("Grep", json!({ "pattern": "x" }), "ask"),
        ("Edit", json!({ "file_path": "/workspace/src/a/b.rs" }), "allow"),
        ("Write", json!({ "file_path": "/workspace/src/new.rs" }), "allow"),
        ("NotebookEdit", json!({ "notebook_path": "src/n.ipynb" }), "allow"),
        ("Edit", json!({ "file_path": "/workspace/src/../b.rs" }), "ask"),
        ("Edit", json!({ "file_path": "/workspace/src/secret/key" }), "deny"),
        ("Edit", json!({ "file_path": "/workspace/docs/a.md" }), "allow"),
        ("Edit", json!({ "file_path": "/etc/src/a" }), "ask"),
        ("Edit", json!({}), "ask"),
        ("WebFetch", json!({ "url": "https://example.com/a" }), "allow"),
        ("WebFetch", json!({ "url": "https://example.com.evil.org/a" }), "ask"),
        ("WebFetch", json!({ "url": "https://example.com@evil.org/" }), "ask"),
        ("WebSearch", json!({ "query": "x" }), "deny"),
        ("mcp__billing__upgrade", json!({}), "ask"),
        ("mcp__notes__add", json!({}), "allow"),
        ("mcp__notes__delete", json!({}), "deny"),
        ("mcp__notesx__add", json!({}), "ask"),
        ("mcp__shop__list_all", json!({}), "allow"),
        ("mcp__shop__buy", json!({}), "ask"),
        ("Agent", json!({}), "ask"),
        ("TodoWrite", json!({}), "allow"),
        ("StructuredOutput", json!({}), "allow"),
    ];
    for (tool, input, expected) in table {
        let verdict = policy.judge(&ToolCall::new(tool, &input.to_string()), &[]);
        assert_eq!(word(&verdict), expected, "{tool} {input}: {verdict:?}");
    }
}

#[test]
fn a_rule_names_what_is_wrong_with_it() {
    let table = [
        ("", "a rule is the name of a tool"),
        ("Bash(", "a rule is the name of a tool"),
        ("Bash()", "a rule is the name of a tool"),
        ("Bsh(ls)", "did you mean Bash?"),
        ("bash", "did you mean Bash?"),
        ("Write(/a)", "write Edit(/a)"),
        ("WebSearch(x)", "have no text in parentheses"),
        ("mcp__x__y(z)", "have no text in parentheses"),
        ("WebFetch(example.com)", "domain:example.com"),
        ("*", "at the end of a tool's name"),
        ("mcp__*__x", "at the end of a tool's name"),
    ];
    for (text, expected) in table {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for text in ["Read", "Bash(npm test:*)", "Edit(/src/**)", "mcp__billing__*", "WebFetch(domain:a.b)", "NewTool"] {
        assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
    }
}

#[test]
fn a_task_only_narrows() {
    let table = AskPolicy { tools: Stance::Ask, ..AskPolicy::default() };
    let narrowed = |narrowing| table.clone().narrowed(narrowing).map_err(|problem| problem.field);
    let changed = narrowed(Narrowing {
        tools: Some(Stance::Deny),
        ask: rules(&["Bash(git push:*)"]),
        deny: rules(&["WebFetch"]),
        questions: Some(false),
        plans: Some(Stance::Deny),
        timeout_ms: Some(1000),
        on_timeout: Some(OnTimeout::Fail),
        hold_ms: Some(0),
    });
    let expected = AskPolicy {
        tools: Stance::Deny,
        allow: Vec::new(),
        ask: rules(&["Bash(git push:*)"]),
        deny: rules(&["WebFetch"]),
        questions: false,
        plans: Stance::Deny,
        timeout_ms: 1000,
        on_timeout: OnTimeout::Fail,
        hold_ms: 0,
    };
    assert_eq!(changed, Ok(expected));
    assert_eq!(narrowed(Narrowing { tools: Some(Stance::Allow), ..Narrowing::default() }), Err("tools"));
    assert_eq!(narrowed(Narrowing { plans: Some(Stance::Allow), ..Narrowing::default() }), Err("plans"));
    assert_eq!(narrowed(Narrowing { on_timeout: Some(OnTimeout::Allow), ..Narrowing::default() }), Err("onTimeout"));
    assert_eq!(narrowed(Narrowing { timeout_ms: Some(86_400_001), ..Narrowing::default() }), Err("timeoutMs"));
    assert_eq!(narrowed(Narrowing { hold_ms: Some(60_001), ..Narrowing::default() }), Err("holdMs"));
    let closed = AskPolicy::without_table().narrowed(Narrowing { questions: Some(true), ..Narrowing::default() });
    assert_eq!(closed.map_err(|problem| problem.field), Err("questions"));
}

#[test]
fn a_decision_is_remembered_for_exactly_its_call() {
    let asking = policy(Stance::Ask, &["Bash(ls)"], &["mcp__billing__*"], &["Bash(curl:*)"]);
    let remember = |call: &ToolCall, decision| Remembered { rule: rule_to_remember(call).unwrap(), decision };
    let kept = [
        remember(&bash("git push && ls"), AskDecision::Allow),
        remember(&bash("make"), AskDecision::Deny),
        remember(&bash("curl x"), AskDecision::Allow),
        remember(&ToolCall::new("mcp__billing__upgrade", "{}"), AskDecision::Allow),
        remember(&ToolCall::new("Write", r#"{"file_path":"a.txt"}"#), AskDecision::Allow),
    ];
    assert_eq!(kept[0].rule.to_string(), "Bash(git push && ls)");
    assert_eq!(kept[4].rule.to_string(), "Edit(//workspace/a.txt)");
    let judged = |call: &ToolCall| word(&asking.judge(call, &kept));
    assert_eq!(judged(&bash("git push && ls")), "allow");
    assert_eq!(judged(&bash("git push")), "ask");
    assert_eq!(judged(&bash("git push && ls; curl y")), "deny");
    assert_eq!(judged(&bash("make")), "deny");
    assert_eq!(judged(&bash("make all")), "ask");
    // A rule that denies is stronger than a memory.
    assert_eq!(judged(&bash("curl x")), "deny");
    assert_eq!(judged(&ToolCall::new("mcp__billing__upgrade", r#"{"user":"bob"}"#)), "allow");
    assert_eq!(judged(&ToolCall::new("mcp__billing__refund", "{}")), "ask");
    assert_eq!(judged(&ToolCall::new("Edit", r#"{"file_path":"/workspace/a.txt"}"#)), "allow");
    assert_eq!(judged(&ToolCall::new("Edit", r#"{"file_path":"/workspace/b.txt"}"#)), "ask");
    // These rules would be about more than the call.
    assert_eq!(rule_to_remember(&bash("rm *")), None);
    assert_eq!(rule_to_remember(&ToolCall::new("Edit", r#"{"file_path":"a*"}"#)), None);
}

fn ask(kind: AskKind, tool: &str, input: Value) -> AskRecord {
    AskRecord {
        id: AskId::generate(),
        session_id: "s".parse().unwrap(),
        task_id: "00000000000000aa".parse().unwrap(),
        kind,
        state: AskState::Open,
        tool: tool.to_owned(),
        tool_use_id: "toolu_1".to_owned(),
        questions: questions_of(&input.to_string()).unwrap_or_default(),
        rule: rule_to_remember(&ToolCall::new(tool, &input.to_string())).filter(|_| kind == AskKind::Permission),
        input,
        truncated: false,
        title: None,
        description: None,
        asked_by: None,
        created: jiff::Timestamp::UNIX_EPOCH,
        expires_at: jiff::Timestamp::UNIX_EPOCH,
        on_timeout: OnTimeout::Deny,
        end: AskEnd::default(),
    }
}

#[test]
fn an_answer_that_does_not_fit_names_the_member() {
    let asking = policy(Stance::Ask, &[], &[], &["Bash(curl:*)"]);
    let questions = json!({ "questions": [
        { "question": "Which?", "header": "W", "options": [{ "label": "A", "description": "" }, { "label": "B" }], "multiSelect": false },
        { "question": "More?", "options": [{ "label": "C" }, { "label": "D" }], "multiSelect": true },
    ] });
    let question = ask(AskKind::Question, "AskUserQuestion", questions);
    let call = ask(AskKind::Permission, "Bash", json!({ "command": "ls", "timeout": 5 }));
    let plan = ask(AskKind::Plan, "ExitPlanMode", json!({ "plan": "1. go" }));
    let wild = ask(AskKind::Permission, "Bash", json!({ "command": "ls *" }));
    let end = |ask: &AskRecord, body: Value| {
        let word = |name: &str| body.get(name).cloned();
        let answer = AskAnswer {
            decision: word("decision").map(|value| serde_json::from_value(value).unwrap()),
            message: word("message").map(|value| value.as_str().unwrap().to_owned()),
            input: word("input"),
            answers: word("answers"),
            remember: word("remember").map(|value| serde_json::from_value(value).unwrap()),
        };
        answer.end(ask, &asking).map_err(|problem| problem.to_string())
    };
    let refused = [
        (&call, json!({}), "decision: "),
        (&call, json!({ "decision": "allow", "answers": {} }), "answers: "),
        (&call, json!({ "decision": "allow", "input": "ls" }), "input: it must be an object"),
        (&call, json!({ "decision": "allow", "input": {} }), "input: Bash needs the text `command`"),
        (
            &call,
            json!({ "decision": "allow", "input": { "command": "ls", "timeout": "5" } }),
            "input: `timeout` must be a number",
        ),
        (
            &call,
            json!({ "decision": "allow", "input": { "command": "curl x" } }),
            "input: the rule Bash(curl:*) denies this",
        ),
        (&call, json!({ "decision": "deny", "input": { "command": "ls" } }), "input: "),
        (&wild, json!({ "decision": "allow", "remember": "task" }), "remember: no rule"),
        (&plan, json!({ "decision": "allow", "remember": "task" }), "remember: only"),
        (&plan, json!({ "decision": "allow", "answers": {} }), "answers: only"),
        (&question, json!({}), "answers: "),
        (&question, json!({ "decision": "allow" }), "answers: they are missing"),
        (&question, json!({ "answers": [] }), "answers: it must be an object"),
        (&question, json!({ "answers": { "Which?": "A" } }), "answers: the answer to \"More?\" is missing"),
        (&question, json!({ "answers": { "What?": "A" } }), "answers: the question \"What?\" was not asked"),
        (
            &question,
            json!({ "answers": { "Which?": ["A", "B"], "More?": ["C"] } }),
            "answers: \"Which?\": several labels",
        ),
        (
            &question,
            json!({ "answers": { "Which?": ["E"], "More?": ["C"] } }),
            "answers: \"Which?\": \"E\" is no label",
        ),
        (&question, json!({ "answers": { "Which?": [], "More?": ["C"] } }), "answers: \"Which?\": the list"),
        (&question, json!({ "answers": { "Which?": 1, "More?": ["C"] } }), "answers: \"Which?\": it must be"),
        (
            &question,
            json!({ "answers": { "Which?": " ", "More?": ["C"] } }),
            "answers: \"Which?\": the answer is empty",
        ),
        (&question, json!({ "decision": "deny", "answers": {} }), "answers: a question that is denied"),
        (&question, json!({ "answers": {}, "input": {} }), "answers: the answer to"),
    ];
    for (ask, body, expected) in refused {
        let problem = end(ask, body.clone()).unwrap_err();
        assert!(problem.starts_with(expected), "{body}: {problem}");
    }
    let answers = json!({ "Which?": "something else", "More?": ["C", "D"] });
    let answered = end(&question, json!({ "answers": answers })).unwrap();
    assert_eq!((answered.decision, answered.answers), (Some(AskDecision::Allow), answers.as_object().cloned()));
    let changed =
        end(&call, json!({ "decision": "allow", "input": { "command": "pwd" }, "remember": "session" })).unwrap();
    assert_eq!(changed.changed_input, json!({ "command": "pwd" }).as_object().cloned());
    assert!(end(&plan, json!({ "decision": "deny", "message": "shorter" })).is_ok());
}

#[test]
fn a_rule_and_a_path_of_many_parts_are_compared_at_once() {
    let long = vec!["a"; 1500].join("/");
    let slow = format!("Edit({}/x)", vec!["**/a"; 300].join("/"));
    let stars = format!("Edit({}b)", "*a".repeat(500));
    let policy = policy(Stance::Allow, &[], &[], &[&slow, &stars, "Edit(src/**)"]);
    for (file, expected) in [
        (format!("/workspace/{long}"), "undecided"),
        (format!("/workspace/{}", "a".repeat(1500)), "undecided"),
        (format!("/workspace/{}", "a/".repeat(3000)), "ask"),
        ("/workspace/src/a/b".to_owned(), "deny"),
        ("/workspace/src".to_owned(), "undecided"),
    ] {
        let call = ToolCall::new("Edit", &json!({ "file_path": file }).to_string());
        assert_eq!(word(&policy.judge(&call, &[])), expected, "{}", &file[..file.len().min(40)]);
    }
}

#[test]
fn a_task_cannot_let_an_ask_that_is_allowed_in_time_expire_sooner() {
    let policy = AskPolicy { on_timeout: OnTimeout::Allow, ..AskPolicy::default() };
    let shorter = Narrowing { timeout_ms: Some(1), ..Narrowing::default() };
    assert_eq!(policy.clone().narrowed(shorter.clone()).unwrap_err().field, "timeoutMs");
    let denies = Narrowing { on_timeout: Some(OnTimeout::Deny), ..shorter };
    assert_eq!(policy.narrowed(denies).unwrap().timeout_ms, 1);
}

#[test]
fn the_file_of_a_notebook_and_the_directory_of_a_pattern_are_judged() {
    let policy = policy(Stance::Ask, &["Read(/src/**)", "Edit(/src/**)"], &[], &["Edit(/secret/**)"]);
    for (tool, input, expected) in [
        ("NotebookEdit", json!({ "file_path": "src/a", "notebook_path": "secret/a.ipynb" }), "deny"),
        ("Glob", json!({ "path": "src/a", "pattern": "**" }), "allow"),
        ("Glob", json!({ "path": "src/a", "pattern": "/etc/*" }), "ask"),
        ("Glob", json!({ "path": "src/a", "pattern": "../../**" }), "ask"),
    ] {
        let verdict = policy.judge(&ToolCall::new(tool, &input.to_string()), &[]);
        assert_eq!(word(&verdict), expected, "{tool} {input}");
    }
}
