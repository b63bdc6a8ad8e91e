use claude_stream::Decoder;
use domain::event::Event;
use observe::redact::SessionRedactor;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{AgentSignal, Narrator};

const SECRET: &str = "zk-secret-of-ours";

/// Narrates lines of the agent and formats events as `type:text`. The narrator is serialised and parsed before each line, as after
/// a kill.
fn narrate(lines: &[&str]) -> (Vec<String>, Vec<AgentSignal>) {
    let session = "s".parse().unwrap();
    let mut secrets = SessionRedactor::default();
    secrets.replace([SECRET]);
    let (mut narrator, mut told, mut signals) = (Narrator::default(), Vec::new(), Vec::new());
    Decoder::new(1 << 24).feed((lines.join("\n") + "\n").as_bytes(), |line| {
        let line = line.unwrap();
        let mut events = Vec::new();
        let seq = told.len() as u64 + 1;
        signals.push(narrator.narrate(&session, line.event, line.raw, seq, &secrets, &mut events));
        told.extend(events.iter().map(say));
        narrator = serde_json::from_str(&serde_json::to_string(&narrator).unwrap()).unwrap();
    });
    (told, signals)
}

fn say(event: &Event) -> String {
    let what = match event {
        Event::Text { text, .. } | Event::Thinking { text, .. } => text.clone(),
        Event::ToolStart { tool, input, truncated, .. } if *truncated => format!("{tool} cut {}", input.get().len()),
        Event::ToolStart { tool, input, .. } => format!("{tool} {input}"),
        Event::ToolEnd { result, truncated, .. } => format!("{} {truncated}", result.len()),
        Event::Retry { reason, discards_from, .. } => format!("{reason} {discards_from:?}"),
        _ => String::new(),
    };
    format!("{}:{what}", event.kind())
}

fn start(id: &str) -> String {
    stream(&format!(r#"{{"type":"message_start","message":{{"id":"{id}","model":"m"}}}}"#))
}

fn delta(text: &str) -> String {
    stream(&format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#))
}

fn stop() -> String {
    stream(r#"{"type":"message_stop"}"#)
}

fn begin(index: u32) -> String {
    stream(&format!(r#"{{"type":"content_block_start","index":{index},"content_block":{{"type":"text","text":""}}}}"#))
}

fn end(index: u32) -> String {
    stream(&format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
}

/// The end of a message that was cut off in a block.
fn abandoned(index: u32) -> String {
    format!(
        r#"{{"type":"stream_event","event":{{"type":"message_stop"}},"parent_tool_use_id":null,"abandoned_blocks":{{"api_message_id":"1","from_block_index":{index}}}}}"#
    )
}

fn api_retry() -> String {
    r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,"retry_delay_ms":598,"error_status":null,"error":"unknown"}"#
        .to_owned()
}

fn stream(event: &str) -> String {
    format!(r#"{{"type":"stream_event","event":{event},"parent_tool_use_id":null}}"#)
}

fn assistant(id: &str, block: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"id":"{id}","model":"m","content":[{block}]}},"parent_tool_use_id":null}}"#
    )
}

fn text_block(text: &str) -> String {
    format!(r#"{{"type":"text","text":"{text}"}}"#)
}

fn tool(id: &str, name: &str, input: &str) -> String {
    format!(r#"{{"type":"tool_use","id":"{id}","name":"{name}","input":{input}}}"#)
}

fn result(id: &str, content: &str) -> String {
    format!(
        r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"{id}","content":"{content}"}}]}},"parent_tool_use_id":null}}"#
    )
}

fn lines<const N: usize>(lines: [String; N]) -> Vec<String> {
    narrate(&Vec::from(lines).iter().map(String::as_str).collect::<Vec<_>>()).0
}

#[test]
fn a_whole_block_is_told_once() {
    let streamed = lines([start("1"), delta("a"), delta("b"), assistant("1", &text_block("ab")), stop()]);
    assert_eq!(streamed, ["text:a", "text:b"]);
    assert_eq!(lines([assistant("1", &text_block("ab"))]), ["text:ab"]);
}

#[test]
fn a_cut_answer_is_void_from_its_first_event() {
    // The CLI repeats the request without streaming.
    let whole = lines([start("1"), delta("a"), delta("b"), assistant("2", &text_block("abc"))]);
    assert_eq!(whole, ["text:a", "text:b", "retry:connection_cut Some(1)", "text:abc"]);
    // The CLI repeats the request with streaming, after the received text was published as a block.
    let again =
        lines([start("1"), delta("a"), assistant("1", &text_block("a")), start("2"), delta("a"), delta("b"), stop()]);
    assert_eq!(again, ["text:a", "retry:connection_cut Some(1)", "text:a", "text:b"]);
    // The CLI itself reports the retry once.
    let retry = r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":2,"retry_delay_ms":5.5,"error_status":null,"error":"unknown"}"#;
    let said = lines([start("1"), delta("a"), retry.to_owned(), start("2"), delta("a"), stop()]);
    assert_eq!(said, ["text:a", "retry:unknown Some(1)", "text:a"]);
    // Complete messages stay valid.
    let complete = lines([start("1"), delta("a"), assistant("1", &text_block("a")), stop(), start("2"), delta("b")]);
    assert_eq!(complete, ["text:a", "text:b"]);
}

#[test]
fn an_abandoned_message_is_void_from_its_first_incomplete_block() {
    let (one, two) = (assistant("1", &text_block("a")), assistant("2", &text_block("abc")));
    // All of it is asked again.
    let all =
        lines([start("1"), begin(0), delta("a"), end(0), abandoned(0), api_retry(), start("2"), delta("b"), stop()]);
    assert_eq!(all, ["text:a", "retry:unknown Some(1)", "text:b"]);
    // The first block is complete, and the agent goes on from there.
    let begun = || [start("1"), begin(0), delta("a"), one.clone(), end(0), begin(1), delta("b"), delta("c"), end(1)];
    let goes_on = |rest: &[String]| {
        let lines = [&begun()[..], &[abandoned(1)], rest].concat();
        narrate(&lines.iter().map(String::as_str).collect::<Vec<_>>()).0
    };
    let streamed = goes_on(&[start("2"), begin(0), delta("d"), stop()]);
    assert_eq!(streamed, ["text:a", "text:b", "text:c", "retry:connection_cut Some(2)", "text:d"]);
    let whole = goes_on(&[two, tool_message(), result("t", "1")]);
    let told = ["text:a", "text:b", "text:c", "retry:connection_cut Some(2)", "text:abc"];
    assert_eq!(whole, [&told[..], &["tool_start:Bash {}", "tool_end:1 false"]].concat());
    // The calls of the complete blocks are answered first.
    let after_calls = goes_on(&[tool_message(), result("t", "1"), start("2"), delta("d"), stop()]);
    let told = ["text:a", "text:b", "text:c", "tool_start:Bash {}", "retry:connection_cut Some(2)", "tool_end:1 false"];
    assert_eq!(after_calls, [&told[..], &["text:d"]].concat());
    // An interrupted turn is not asked again, and a message without an incomplete block has nothing to void.
    assert_eq!(goes_on(&[]), ["text:a", "text:b", "text:c"]);
    let complete = lines([start("1"), begin(0), delta("a"), one, end(0), abandoned(1), start("2"), delta("b"), stop()]);
    assert_eq!(complete, ["text:a", "text:b"]);
}

fn tool_message() -> String {
    assistant("1", &tool("t", "Bash", "{}"))
}

proptest! {
    /// However often an answer is cut off, and wherever, its text is published once.
    #[test]
    fn text_is_told_once(
        answers in vec(vec("[a-z]{1,3}", 1..5), 1..4),
        cuts in vec((any::<Index>(), any::<bool>()), 0..6),
    ) {
        let (mut sent, mut kept, mut cuts, mut id) = (Vec::new(), String::new(), cuts.into_iter(), 0);
        // Each answer is one block. A cut repeats it from its beginning; after a complete block it goes on behind that.
        for deltas in &answers {
            loop {
                id += 1;
                sent.extend([start(&id.to_string()), begin(0)]);
                let cut = cuts.next();
                let until = cut.as_ref().map_or(deltas.len(), |(at, _)| at.index(deltas.len()));
                sent.extend(deltas[..until].iter().map(|text| delta(text)));
                if let Some((_, told)) = cut {
                    sent.extend([end(0), abandoned(0)]);
                    sent.extend(told.then(api_retry));
                } else {
                    sent.extend([assistant(&id.to_string(), &text_block(&deltas.concat())), end(0), stop()]);
                    break;
                }
            }
            kept.push_str(&deltas.concat());
        }
        let (told, _) = narrate(&sent.iter().map(String::as_str).collect::<Vec<_>>());
        let mut shown: Vec<(usize, &str)> = Vec::new();
        for (seq, event) in told.iter().enumerate().map(|(at, event)| (at + 1, event)) {
            match event.split_once(':').unwrap() {
                ("text", text) => shown.push((seq, text)),
                (_, retry) => {
                    if let Some(from) = retry.split_once("Some(").map(|(_, from)| from.trim_end_matches(')')) {
                        let from: usize = from.parse().unwrap();
                        shown.retain(|(seq, _)| *seq < from);
                    }
                }
            }
        }
        prop_assert_eq!(shown.into_iter().map(|(_, text)| text).collect::<String>(), kept);
    }
}

#[test]
fn a_message_stands_once_its_calls_were_made() {
    let retry = r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":2,"retry_delay_ms":5.5,"error_status":null,"error":"unknown"}"#;
    // The message arrived whole after a cut. The next request fails before its first event.
    let (words, call) = (assistant("1", &text_block("a")), assistant("1", &tool("t", "Bash", "{}")));
    let told = lines([words, call, result("t", "1"), retry.to_owned(), start("2"), delta("b"), stop()]);
    assert_eq!(told, ["text:a", "tool_start:Bash {}", "tool_end:1 false", "retry:unknown None", "text:b"]);
}

#[test]
fn a_turn_is_over_when_the_last_tool_has_answered() {
    let calls = assistant("1", &format!("{},{}", tool("a", "Bash", "{}"), tool("b", "Read", "{}")));
    let (_, signals) = narrate(&[&calls, &result("a", "1"), &result("b", "2"), &result("b", "again")]);
    let over: Vec<bool> = signals.iter().map(|signal| matches!(signal, AgentSignal::TurnOver)).collect();
    assert_eq!(over, [false, false, true, false]);
}

#[test]
fn the_tool_for_structured_answers_is_not_told() {
    let told = lines([assistant("1", &tool("a", "StructuredOutput", "{}")), result("a", "fine")]);
    assert_eq!(told, [""; 0]);
}

#[test]
fn large_things_are_cut_and_long_text_comes_in_pieces() {
    let large = "é".repeat(Event::MAX_FRAME_BYTES);
    let told = lines([
        assistant("1", &tool("a", "Write", &format!(r#"{{"content":"{large}"}}"#))),
        result("a", &large),
        assistant("2", &text_block(&large)),
    ]);
    assert!(told[0].starts_with("tool_start:Write cut "), "{}", &told[0][..40]);
    assert_eq!(told[1], format!("tool_end:{} true", Event::MAX_TOOL_RESULT_BYTES));
    let text: Vec<&str> = told[2..].iter().map(|event| event.strip_prefix("text:").unwrap()).collect();
    assert!(text.iter().all(|piece| piece.len() <= Event::MAX_TEXT_BYTES));
    assert_eq!(text.concat(), large);
}

#[test]
fn a_secret_that_is_cut_over_deltas_is_masked() {
    let ping = || stream(r#"{"type":"ping"}"#);
    let told = lines([start("1"), delta("a zk-sec"), ping(), delta("ret-of"), delta("-ours b"), stop()]);
    assert_eq!(told, ["text:a ", "text:[redacted] b"]);
    let whole = lines([start("1"), delta("a zk"), assistant("1", &text_block("a zk")), stop()]);
    assert_eq!(whole, ["text:a ", "text:zk"], "harmless text is published once the block is complete");
}

#[test]
fn what_waited_is_void_with_its_message_and_only_with_it() {
    let retry = || {
        r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":2,"retry_delay_ms":1,"error_status":500,"error":"x"}"#
            .to_owned()
    };
    let cut = lines([start("1"), delta("zk"), start("2"), delta("b")]);
    assert_eq!(cut, ["text:zk", "retry:connection_cut Some(1)", "text:b"]);
    let stopped = lines([start("1"), delta("zk"), stop(), retry()]);
    assert_eq!(stopped, ["text:zk", "retry:x None"]);
}

#[test]
fn lines_that_mean_nothing_to_a_person_are_not_told() {
    let told = lines([
        r#"{"type":"command_lifecycle","command_uuid":"u","state":"queued"}"#.to_owned(),
        r#"{"type":"tool_progress","tool_use_id":"t","elapsed_time_seconds":2}"#.to_owned(),
        r#"{"type":"system","subtype":"session_state_changed","state":"idle"}"#.to_owned(),
        r#"{"type":"system","subtype":"background_tasks_changed"}"#.to_owned(),
        r#"{"type":"system","subtype":"tomorrow"}"#.to_owned(),
    ]);
    assert_eq!(told, ["raw:"], "an unknown line is told as it came");
}

#[test]
fn the_clis_own_check_is_told_from_other_questions() {
    let ask = |reason: &str| {
        format!(
            r#"{{"type":"control_request","request_id":"r","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"rm"}}{reason}}}}}"#
        )
    };
    let checked = |line: &str| match narrate(&[line]).1.remove(0) {
        AgentSignal::Asked { call, .. } => {
            call.filter(|call| call.is_safety_check).map(|call| call.input.get().to_owned())
        }
        other => panic!("{other:?}"),
    };
    let input = Some(r#"{"command":"rm"}"#.to_owned());
    assert_eq!(checked(&ask(r#","decision_reason_type":"safetyCheck""#)), input);
    assert_eq!(checked(&ask(r#","decision_reason_type":"mode""#)), None);
    assert_eq!(checked(&ask("")), None);
    assert_eq!(checked(r#"{"type":"control_request","request_id":"r","request":{"subtype":"elicitation"}}"#), None);
}
