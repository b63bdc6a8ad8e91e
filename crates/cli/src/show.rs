//! A task for people: the agent's actions, line by line, and its answer.

mod spinner;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use api_types::ask::Ask;
use api_types::event::{Event, QueuedReason, Stage, TaskQueued};
use api_types::task::Answer;
use api_types::word;
use owo_colors::{OwoColorize as _, Stream, Style};
use serde_json::Value;

use super::asks::subject;
use super::terminal::{printable, shortened};
use spinner::Spinner;

/// The bound on the shown part of a tool's input and of its result, in characters.
const INPUT: usize = 160;
const RESULT: usize = 200;

pub(super) struct Show {
    /// The stream for the agent's work. The answer goes to stdout.
    work: Stream,
    spinner: Spinner,
    /// The kind of text on the cursor's line.
    mid_line: Option<Piece>,
    prints_answer: bool,
    /// The text since the agent's last other action.
    said: String,
    /// The model that was shown last.
    model: String,
}

impl Show {
    /// Shows the work on stderr, with a spinner if that is a terminal, and the answer on stdout.
    pub(super) fn live() -> Self {
        Show::on(Stream::Stderr, io::stderr().is_terminal())
    }

    /// Shows only the work.
    pub(super) fn without_answer(self) -> Self {
        Show { prints_answer: false, ..self }
    }

    /// Shows everything on stdout.
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
    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::TaskQueued(event) => self.line("queued", &waits(event))?,
            Event::Stage(event) if event.not_cloned.is_empty() => self.line("stage", &stage(event))?,
            Event::Stage(event) => {
                for sentence in &event.not_cloned {
                    self.line("clone", sentence)?;
                }
            }
            // An agent starts again if its answer must be corrected.
            Event::Init(event) if self.model != event.model => {
                self.model.clone_from(&event.model);
                self.line("agent", &event.model)?;
            }
            // Only a subagent's tools are shown, because its text returns as a result.
            Event::ThinkingStart(event) if event.parent_tool_use_id.is_none() => self.line("thinking", "")?,
            Event::Thinking(event) if event.parent_tool_use_id.is_none() => self.piece(Piece::Thinking, &event.text)?,
            Event::Text(event) if event.parent_tool_use_id.is_none() => self.piece(Piece::Text, &event.text)?,
            Event::ToolStart(event) => {
                let indent = if event.parent_tool_use_id.is_some() { "· " } else { "" };
                self.line("tool", &format!("{indent}{} {}", event.tool, input_summary(&event.input)))?;
            }
            Event::ToolEnd(event) => {
                let indent = if event.parent_tool_use_id.is_some() { "· " } else { "" };
                let name = if event.is_error { "failed" } else { "result" };
                self.line(name, &format!("{indent}{}", shortened(&event.result, RESULT)))?;
            }
            Event::Retry(event) => self.line("retry", &event.reason)?,
            Event::Ask(event) => {
                self.line("asks", &shortened(&subject(&event.ask), RESULT))?;
                let how = if event.ask.questions.is_empty() { "allow" } else { "--option LABEL" };
                self.line("", &format!("claude-runner answer {} {how}", event.ask.id))?;
            }
            Event::AskAnswered(event) => self.line("answered", &decided(&event.ask))?,
            Event::AskExpired(event) => self.line("expired", &decided(&event.ask))?,
            Event::AskWithdrawn(event) => self.line("withdrawn", &shortened(&subject(&event.ask), RESULT))?,
            Event::Warning(event) => self.line("warning", &event.message)?,
            Event::TaskComplete(event) => return self.answer(&event.answer),
            Event::TaskFailed(event) => return self.line(&word(&event.error_type), &event.error),
            Event::Abort(event) => return self.line(&word(&event.error_type), &event.error),
            _ => {}
        }
        if self.mid_line.is_none() {
            self.spinner.spin(match event {
                Event::TaskQueued(_) | Event::Ask(_) => "waits",
                Event::ToolStart(_) => "runs",
                _ => "works",
            });
        }
        Ok(())
    }

    /// Writes a line of the command itself.
    pub(super) fn line(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.end_line()?;
        self.said.clear();
        let name = format!("{name:>9}");
        let name = name.if_supports_color(self.work, |name| name.cyan()).to_string();
        self.put(format!("{name}  {}", printable(text)).trim_end())?;
        self.put("\n")
    }

    fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        let said = std::mem::take(&mut self.said);
        let tokens = answer.usage.input_tokens + answer.usage.output_tokens;
        let took = Duration::from_millis(answer.duration).as_secs_f64();
        self.line("done", &format!("{took:.1} s, {tokens} tokens, ${:.4}", answer.cost))?;
        let answer = match &answer.output {
            None => answer.response.clone().unwrap_or_default(),
            Some(output) => format!("{output:#}"),
        };
        // The answer was already visible on the same terminal.
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

/// The kinds of output that arrive in pieces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Thinking,
    Text,
}

/// Returns the informative part of a tool's input.
fn input_summary(input: &Value) -> String {
    let names = ["command", "file_path", "pattern", "url", "query", "description", "prompt"];
    let text = names.iter().find_map(|name| input[*name].as_str()).map_or_else(|| input.to_string(), str::to_owned);
    shortened(&text, INPUT)
}

/// Describes the end of an ask: the decision, and the reason or the answers.
pub(super) fn decided(ask: &Ask) -> String {
    let answers =
        ask.answers.as_ref().map(|answers| answers.values().map(Value::to_string).collect::<Vec<_>>().join(", "));
    let parts = [ask.decision.as_ref().map(word), ask.message.clone(), answers];
    shortened(&parts.into_iter().flatten().collect::<Vec<_>>().join(": "), RESULT)
}

/// Returns the reason why a task waits.
fn waits(event: &TaskQueued) -> String {
    match (event.position, event.reason) {
        (_, Some(QueuedReason::Capacity | QueuedReason::Memory)) => "waits for a sandbox".to_owned(),
        (_, Some(QueuedReason::Branch)) => "waits for another task on its branch".to_owned(),
        (0, _) => "starting".to_owned(),
        (ahead, _) => format!("{ahead} ahead"),
    }
}

/// Describes a stage of a repository task with the facts known so far.
fn stage(event: &Stage) -> String {
    let mut known = vec![word(&event.stage)];
    known.extend(event.repo.as_ref().map(ToString::to_string));
    known.extend(event.branch.as_ref().map(|branch| format!("on {branch}")));
    known.extend(event.pr_url.clone());
    known.join(" ")
}
