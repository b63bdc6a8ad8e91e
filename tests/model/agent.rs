//! A stand-in for the CLI that speaks the part of its protocol that a session needs. The first word of a message selects the
//! agent's behaviour.

use std::collections::HashSet;
use std::sync::Arc;

use engine::{ContainerId, FakeEngine};
use sandbox_link::frame::Start;
use serde_json::{Value, json};

use crate::board::{Board, Given};

/// The content of a transcript. A conversation cannot be resumed without one.
const TRANSCRIPT: &[u8] = b"{}";

/// An instruction of the test to an agent, or to the sandbox around it.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Ends the open turn.
    Finish,
    Exit(i32),
    Garbage,
    /// Breaks the connection.
    Cut,
    /// Ends the open turn. Once that is acknowledged, the connection breaks until [`Command::Return`], and data sent to the sandbox
    /// in between is lost.
    FinishAndLeave,
    Return,
    /// Kills the container.
    Die,
}

pub(crate) enum Say {
    Line(Value),
    Garbage,
    Exit(i32),
}

pub(crate) struct Agent {
    board: Arc<Board>,
    engine: FakeEngine,
    container: ContainerId,
    home: String,
    /// The conversation's id.
    conversation: String,
    seen: HashSet<String>,
    turn: Option<Turn>,
}

struct Turn {
    uuid: String,
    message: String,
    task: usize,
    begun: bool,
}

impl Agent {
    pub(crate) fn start(
        start: &Start,
        board: Arc<Board>,
        engine: FakeEngine,
        container: ContainerId,
        home: String,
    ) -> (Self, Vec<Say>) {
        let resume = start.arguments.iter().skip_while(|argument| *argument != "--resume").nth(1);
        let conversation = resume.cloned().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let lost = resume.is_some() && engine.read_file(&home, &conversation).as_deref() != Some(TRANSCRIPT);
        let agent = Agent { board, engine, container, home, conversation, seen: HashSet::new(), turn: None };
        let mut says = Vec::new();
        if lost {
            let error = format!("No conversation found with session ID: {}", agent.conversation);
            says.push(Say::Line(json!({"type": "result", "subtype": "error_during_execution", "is_error": true,
                "session_id": agent.conversation, "errors": [error]})));
            says.push(Say::Exit(1));
        }
        (agent, says)
    }

    /// Takes a line of stdin.
    pub(crate) fn on_line(&mut self, line: &str) -> Vec<Say> {
        let line: Value = serde_json::from_str(line).unwrap();
        match line["type"].as_str() {
            Some("user") => self.take(&line),
            Some("control_request") => self.obey(&line),
            _ => Vec::new(),
        }
    }

    pub(crate) fn command(&mut self, command: &Command) -> Vec<Say> {
        match command {
            Command::Finish | Command::FinishAndLeave => self.finish(),
            Command::Exit(code) => vec![Say::Exit(*code)],
            Command::Garbage => vec![Say::Garbage],
            Command::Cut | Command::Return | Command::Die => Vec::new(),
        }
    }

    /// Ends the process.
    pub(crate) fn end(&mut self) {
        self.close_turn();
    }

    fn take(&mut self, line: &Value) -> Vec<Say> {
        let uuid = line["uuid"].as_str().unwrap().to_owned();
        let content = line["message"]["content"].as_str().unwrap().trim().to_owned();
        if !self.seen.insert(uuid.clone()) {
            return Vec::new();
        }
        let message = match &self.turn {
            Some(turn) => {
                let said = format!("a message came while {:?} was being worked on: {content:?}", turn.message);
                self.board.with(|state| state.violations.push(said));
                content
            }
            None => content,
        };
        let task = number(&message);
        let given = Given { task, uuid: uuid.clone(), container: self.container.clone() };
        let finish_all = self.board.with(|state| {
            state.given.push(given);
            state.open.insert(task);
            state.finish_all
        });
        let word = message.split(' ').next().unwrap_or_default().to_owned();
        self.turn = Some(Turn { uuid, message, task, begun: false });
        let mut says = Vec::new();
        match word.as_str() {
            _ if finish_all => says.extend(self.finish()),
            "deaf" => {}
            "hold" | "stubborn" | "unstructured-hold" => says.extend(self.begin()),
            "exit" => {
                says.extend(self.begin());
                says.push(Say::Exit(3));
            }
            "garbage" => {
                says.extend(self.begin());
                says.push(Say::Garbage);
            }
            // "answer", "unstructured", and the request for a better answer
            _ => says.extend(self.finish()),
        }
        says
    }

    fn obey(&mut self, line: &Value) -> Vec<Say> {
        let answer = json!({"subtype": "success", "request_id": line["request_id"], "response": {}});
        let mut says = vec![Say::Line(json!({"type": "control_response", "response": answer}))];
        let interrupts = line["request"]["subtype"] == "interrupt";
        if interrupts && self.turn.as_ref().is_some_and(|turn| turn.begun && !turn.message.starts_with("stubborn")) {
            self.close_turn();
            says.push(Say::Line(json!({"type": "result", "subtype": "error_during_execution", "is_error": true,
                "session_id": self.conversation, "terminal_reason": "aborted_streaming", "errors": ["interrupted"]})));
        }
        says
    }

    fn begin(&mut self) -> Vec<Say> {
        let Some(turn) = self.turn.as_mut().filter(|turn| !turn.begun) else { return Vec::new() };
        turn.begun = true;
        // The transcript with which the conversation can be resumed.
        self.engine.write_file(&self.home, &self.conversation, TRANSCRIPT);
        let session = &self.conversation;
        let id = format!("msg_{}", turn.uuid);
        [
            json!({"type": "user", "message": {"role": "user", "content": turn.message}, "session_id": session,
                "parent_tool_use_id": null, "uuid": turn.uuid, "isReplay": true}),
            json!({"type": "system", "subtype": "init", "session_id": session, "model": "claude-sonnet-4-6",
                "tools": ["Bash"], "permissionMode": "bypassPermissions", "claude_code_version": "2.1.332"}),
            stream(session, &json!({"type": "message_start", "message": {"id": id, "model": "claude-sonnet-4-6"}})),
            stream(
                session,
                &json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "text", "text": ""}}),
            ),
            stream(
                session,
                &json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": "did "}}),
            ),
        ]
        .map(Say::Line)
        .into()
    }

    fn finish(&mut self) -> Vec<Say> {
        let mut says = self.begin();
        let Some(turn) = self.close_turn() else { return says };
        let (session, text) = (&self.conversation, answer(&turn.message));
        let structured = if turn.message.starts_with("unstructured") { Value::Null } else { json!({"answer": text}) };
        let rest = text.strip_prefix("did ").unwrap_or_default();
        says.extend([
            Say::Line(stream(
                session,
                &json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": rest}}),
            )),
            Say::Line(json!({"type": "assistant", "session_id": session, "parent_tool_use_id": null,
                "message": {"id": format!("msg_{}", turn.uuid), "model": "claude-sonnet-4-6",
                    "content": [{"type": "text", "text": text}]}})),
            Say::Line(stream(session, &json!({"type": "content_block_stop", "index": 0}))),
            Say::Line(stream(session, &json!({"type": "message_stop"}))),
            Say::Line(json!({"type": "result", "subtype": "success", "is_error": false, "session_id": session,
                "result": text, "structured_output": structured, "num_turns": 1, "total_cost_usd": 0.001})),
        ]);
        says
    }

    fn close_turn(&mut self) -> Option<Turn> {
        let turn = self.turn.take()?;
        self.board.with(|state| state.open.remove(&turn.task));
        Some(turn)
    }
}

/// Returns the agent's answer to a message.
pub(crate) fn answer(message: &str) -> String {
    format!("did {message}")
}

/// Returns a task's number, the last word of its message. The request for a better answer has no number.
fn number(message: &str) -> usize {
    message.rsplit(' ').next().and_then(|word| word.strip_prefix('#')?.parse().ok()).unwrap_or(usize::MAX)
}

fn stream(session: &str, event: &Value) -> Value {
    json!({"type": "stream_event", "event": event, "session_id": session, "parent_tool_use_id": null})
}
