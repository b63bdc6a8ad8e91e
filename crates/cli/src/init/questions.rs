//! Asks a person on the terminal.

use std::io::{self, BufRead as _, Write as _};

use anyhow::bail;
use clap::ValueEnum;

pub(super) struct Questions {
    /// The command may ask; otherwise it uses the default.
    asks: bool,
}

impl Questions {
    pub(super) fn new(asks: bool) -> Self {
        Questions { asks }
    }

    /// `said` is the value of a flag.
    pub(super) fn text(&mut self, question: &str, said: Option<&str>, default: &str) -> anyhow::Result<String> {
        if let Some(said) = said {
            return Ok(line(said).unwrap_or_else(|| default.to_owned()));
        }
        let answer = if self.asks { ask(&format!("{question} [{default}] "))? } else { String::new() };
        Ok(line(&answer).unwrap_or_else(|| default.to_owned()))
    }

    /// Repeats the question until the answer is one of the values, or the beginning of one.
    pub(super) fn choice<T: ValueEnum>(&mut self, question: &str, said: Option<T>, default: T) -> anyhow::Result<T> {
        if let Some(said) = said {
            return Ok(said);
        }
        let names = T::value_variants().iter().map(name).collect::<Vec<_>>().join(" or ");
        if !self.asks {
            return Ok(default);
        }
        loop {
            let answer = ask(&format!("{question} {names} [{}] ", name(&default)))?.trim().to_lowercase();
            if answer.is_empty() {
                return Ok(default);
            }
            if let Some(chosen) = T::value_variants().iter().find(|value| name(*value).starts_with(&answer)) {
                return Ok(chosen.clone());
            }
        }
    }
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn ask(question: &str) -> anyhow::Result<String> {
    write!(io::stderr(), "{question}")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer)? == 0 {
        bail!("no answer came; nothing was created");
    }
    Ok(answer)
}

/// Returns the text on one line, because it becomes a heading or a sentence. `None`: it is empty.
fn line(text: &str) -> Option<String> {
    let text = super::super::terminal::on_one_line(text);
    (!text.is_empty()).then_some(text)
}
