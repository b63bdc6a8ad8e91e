//! A task for people: what the agent does, line by line, and its answer.

mod spinner;

use std::io::{self, IsTerminal as _, Write as _};

use owo_colors::{OwoColorize as _, Stream, Style};
use serde_json::Value;

use super::terminal::{printable, shortened};
use spinner::Spinner;

/// Of a tool's input and of its result, in characters.
const INPUT: usize = 160;
const RESULT: usize = 200;

pub(super) struct Show {
    /// Where the work goes. The answer goes to stdout.
    work: Stream,
    spinner: Spinner,
    /// What was printed on the line that the cursor is in.
    mid_line: Option<Piece>,
    prints_answer: bool,
    /// The text since the agent last did something else.
    said: String,
    /// Which was told last.
    model: String,
}

impl Show {
    /// The work on stderr, with a spinner where that is a terminal; the answer on stdout.
    pub(super) fn live() -> Self {
        Show::on(Stream::Stderr, io::stderr().is_terminal())
    }

    /// The work alone.
    pub(super) fn without_answer(self) -> Self {
        Show { prints_answer: false, ..self }
    }

    /// All on stdout.
    pub(super) fn log() -> Self {
        Show::on(Stream::Stdout, false)
    }

    fn on(work: Stream, spins: bool) -> Self {
        Show {
            work,
            spinner: Spinner::new(spins),
            mid_line: None,
            prints_answer: true,
            said: String::new(),
            model: String::new(),
        }
    }

    /// Shows an event of the task.
    pub(super) fn event(&mut self, event: &Value) -> io::Result<()> {
        let field = |name: &str| event[name].as_str().unwrap_or_default();
        // Of a subagent only its tools: what it says comes back as a result.
        let below = event["parentToolUseId"].is_string();
        match field("type") {
            "task_queued" => match (event["position"].as_u64().unwrap_or(0), field("reason")) {
                (_, "capacity" | "memory") => self.line("queued", "waits for a sandbox")?,
                (_, "branch") => self.line("queued", "waits for another task on its branch")?,
                (0, _) => self.line("queued", "starting")?,
                (ahead, _) => self.line("queued", &format!("{ahead} ahead"))?,
            },
            "stage" => self.line("stage", &stage(event))?,
            // An agent begins anew where its answer has to be mended.
            "init" if self.model != field("model") => {
                field("model").clone_into(&mut self.model);
                self.line("agent", field("model"))?;
            }
            "thinking_start" if !below => self.line("thinking", "")?,
            "thinking" if !below => self.piece(Piece::Thinking, field("text"))?,
            "text" if !below => self.piece(Piece::Text, field("text"))?,
            "tool_start" => {
                let indent = if below { "· " } else { "" };
                let tool = format!("{indent}{} {}", field("tool"), telling(&event["input"]));
                self.line("tool", &tool)?;
            }
            "tool_end" => {
                let name = if event["isError"] == true { "failed" } else { "result" };
                let indent = if below { "· " } else { "" };
                self.line(name, &format!("{indent}{}", shortened(field("result"), RESULT)))?;
            }
            "retry" => self.line("retry", field("reason"))?,
            "task_complete" => return self.answer(event),
            "task_failed" | "abort" => return self.line(field("errorType"), field("error")),
            _ => {}
        }
        if self.mid_line.is_none() {
            self.spinner.spin(match field("type") {
                "task_queued" => "waits",
                "tool_start" => "runs",
                _ => "works",
            });
        }
        Ok(())
    }

    /// A line of the command's own.
    pub(super) fn line(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.end_line()?;
        self.said.clear();
        let name = format!("{name:>9}");
        let name = name.if_supports_color(self.work, |name| name.cyan()).to_string();
        self.put(format!("{name}  {}", printable(text)).trim_end())?;
        self.put("\n")
    }

    fn answer(&mut self, event: &Value) -> io::Result<()> {
        let said = std::mem::take(&mut self.said);
        let seconds = event["duration"].as_f64().unwrap_or_default() / 1000.0;
        let tokens = event["usage"]["input_tokens"].as_u64().unwrap_or_default()
            + event["usage"]["output_tokens"].as_u64().unwrap_or_default();
        let cost = event["cost"].as_f64().unwrap_or_default();
        self.line("done", &format!("{seconds:.1} s, {tokens} tokens, ${cost:.4}"))?;
        let answer = match &event["output"] {
            Value::Null => event["response"].as_str().unwrap_or_default().to_owned(),
            output => format!("{output:#}"),
        };
        // Whoever has just read it on the same terminal need not read it twice.
        let was_read = said.trim() == answer.trim() && self.reaches_whom_stdout_does();
        if answer.is_empty() || was_read || !self.prints_answer {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let text = if stdout.is_terminal() { printable(&answer) } else { answer.as_str().into() };
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }

    fn reaches_whom_stdout_does(&self) -> bool {
        match self.work {
            Stream::Stdout => true,
            Stream::Stderr => io::stdout().is_terminal() && io::stderr().is_terminal(),
        }
    }

    fn piece(&mut self, piece: Piece, text: &str) -> io::Result<()> {
        if self.mid_line.is_some_and(|before| before != piece) {
            self.end_line()?;
        }
        let style = match piece {
            Piece::Thinking => Style::new().dimmed(),
            Piece::Text => {
                self.said.push_str(text);
                Style::new()
            }
        };
        let text = printable(text);
        let styled = text.if_supports_color(self.work, |text| text.style(style)).to_string();
        self.put(&styled)?;
        self.mid_line = (!text.ends_with('\n')).then_some(piece);
        Ok(())
    }

    fn end_line(&mut self) -> io::Result<()> {
        match self.mid_line.take() {
            Some(_) => self.put("\n"),
            None => Ok(()),
        }
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.spinner.hide();
        match self.work {
            Stream::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes())?;
                stdout.flush()
            }
            Stream::Stderr => io::stderr().write_all(text.as_bytes()),
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
fn telling(input: &Value) -> String {
    let names = ["command", "file_path", "pattern", "url", "query", "description", "prompt"];
    let text = names.iter().find_map(|name| input[*name].as_str()).map_or_else(|| input.to_string(), str::to_owned);
    shortened(&text, INPUT)
}

/// A stage of a repository task, with what is known by then.
fn stage(event: &Value) -> String {
    let names = [("stage", ""), ("repo", ""), ("branch", "on "), ("prUrl", "")];
    let known = names.iter().filter_map(|(name, before)| Some(format!("{before}{}", event[*name].as_str()?)));
    known.collect::<Vec<_>>().join(" ")
}
