//! A task in a terminal: what the agent does on stderr, the answer on stdout.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what shows things")]

use owo_colors::{OwoColorize, Stream, Style};
use serde_json::Value;

pub(super) struct Show {
    json: bool,
    /// What was printed on the line that the cursor is in.
    mid_line: Option<Piece>,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        Show { json, mid_line: None }
    }

    /// Shows an event of the task. Returns the exit code when it was the last one.
    pub(super) fn event(&mut self, event: &Value, text: &str) -> Option<u8> {
        let kind = event["type"].as_str().unwrap_or_default();
        let code = match kind {
            "task_complete" => Some(0),
            "task_failed" => Some(1),
            "abort" => Some(2),
            _ => None,
        };
        if self.json {
            println!("{text}");
            return code;
        }
        let field = |name: &str| event[name].as_str().unwrap_or_default();
        match kind {
            "task_queued" => match event["position"].as_u64() {
                Some(0) | None => self.line("queued", "starting"),
                Some(ahead) => self.line("queued", &format!("{ahead} ahead")),
            },
            "init" => self.line("agent", field("model")),
            "thinking_start" => self.line("thinking", ""),
            "thinking" => self.piece(Piece::Thinking, field("text")),
            "text" => self.piece(Piece::Text, field("text")),
            "tool_start" => self.line("tool", &format!("{} {}", field("tool"), summary(&event["input"]))),
            "tool_end" => {
                let name = if event["isError"] == true { "failed" } else { "result" };
                self.line(name, &shortened(field("result"), 200));
            }
            "retry" => self.line("retry", field("reason")),
            "task_complete" => self.answer(event),
            "task_failed" | "abort" => self.line(field("errorType"), field("error")),
            _ => {}
        }
        code
    }

    fn answer(&mut self, event: &Value) {
        let seconds = event["duration"].as_f64().unwrap_or_default() / 1000.0;
        let tokens = event["usage"]["input_tokens"].as_u64().unwrap_or_default()
            + event["usage"]["output_tokens"].as_u64().unwrap_or_default();
        let cost = event["cost"].as_f64().unwrap_or_default();
        self.line("done", &format!("{seconds:.1} s, {tokens} tokens, ${cost:.4}"));
        match &event["output"] {
            Value::Null => println!("{}", event["response"].as_str().unwrap_or_default()),
            output => println!("{output:#}"),
        }
    }

    fn line(&mut self, name: &str, text: &str) {
        self.end_line();
        let name = format!("{name:>9}");
        eprintln!("{}  {text}", name.if_supports_color(Stream::Stderr, |name| name.cyan()));
    }

    fn piece(&mut self, piece: Piece, text: &str) {
        if self.mid_line.is_some_and(|before| before != piece) {
            self.end_line();
        }
        let style = match piece {
            Piece::Thinking => Style::new().dimmed(),
            Piece::Text => Style::new(),
        };
        eprint!("{}", text.if_supports_color(Stream::Stderr, |text| text.style(style)));
        self.mid_line = (!text.ends_with('\n')).then_some(piece);
    }

    fn end_line(&mut self) {
        if self.mid_line.take().is_some() {
            eprintln!();
        }
    }
}

/// What comes in pieces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Thinking,
    Text,
}

/// The telling part of a tool's input.
fn summary(input: &Value) -> String {
    let telling = ["command", "file_path", "pattern", "url", "query", "description", "prompt"];
    let text = telling.iter().find_map(|name| input[*name].as_str()).map_or_else(|| input.to_string(), str::to_owned);
    shortened(&text, 160)
}

fn shortened(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
