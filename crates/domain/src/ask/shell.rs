//! Splits a text for Bash into the simple commands that it runs. What this parser does not understand for certain, it refuses:
//! the caller then asks a person.

mod word;

/// The bounds of a text that is split. A longer one is refused.
const MAX_BYTES: usize = 10_000;
const MAX_PARTS: usize = 50;
const MAX_DEPTH: usize = 8;

/// The words that begin a compound command or change how the next words are read.
const RESERVED: [&str; 22] = [
    "!", "[[", "]]", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in",
    "select", "then", "until", "while", "{", "}", "time",
];

/// One thing that the text does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Command(SimpleCommand),
    /// A redirection writes to this file. `None`: the name is only known when the command runs.
    Write(Option<String>),
}

/// A command with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SimpleCommand {
    /// The command as it is written, with single blanks between the words and without redirections.
    pub(super) text: String,
    /// The words without quotes. `None`: an expansion makes the word when the command runs.
    pub(super) words: Vec<Option<String>>,
}

/// The text cannot be split for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uncertain;

/// Splits a text. Every simple command in it is one part, also in substitutions and subshells.
pub(super) fn split(text: &str) -> Result<Vec<Part>, Uncertain> {
    if text.len() > MAX_BYTES || text.chars().any(is_deceptive) {
        return Err(Uncertain);
    }
    let mut parser = Parser { rest: text, parts: Vec::new(), heredocs: Vec::new(), depth: 0 };
    parser.list(None)?;
    if !parser.heredocs.is_empty() || parser.parts.is_empty() {
        return Err(Uncertain);
    }
    Ok(parser.parts)
}

/// A character that a person does not see, or that a shell reads in another way than a person.
fn is_deceptive(c: char) -> bool {
    let is_control = c.is_control() && !matches!(c, '\n' | '\t');
    let is_blank = c.is_whitespace() && !matches!(c, ' ' | '\n' | '\t');
    let is_invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    is_control || is_blank || is_invisible
}

struct Parser<'a> {
    rest: &'a str,
    parts: Vec<Part>,
    /// Here-documents whose bodies begin at the next line.
    heredocs: Vec<Heredoc>,
    depth: usize,
}

struct Heredoc {
    delimiter: String,
    strips_tabs: bool,
    is_literal: bool,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let first = self.peek()?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest.strip_prefix(text);
        found.inspect(|rest| self.rest = rest).is_some()
    }

    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t') => drop(self.bump()),
                Some('\\') if self.rest.starts_with("\\\n") => self.rest = &self.rest[2..],
                _ => return,
            }
        }
    }

    /// Reads commands up to `end`, which is consumed, or up to the end of the text.
    fn list(&mut self, end: Option<char>) -> Result<(), Uncertain> {
        self.depth += 1;
        // A line inside of a substitution would begin the body of a here-document outside.
        if self.depth > MAX_DEPTH || (self.depth > 1 && !self.heredocs.is_empty()) {
            return Err(Uncertain);
        }
        loop {
            self.blanks();
            let before = self.rest.len();
            match self.peek() {
                None if end.is_none() => break,
                None => return Err(Uncertain),
                Some(c) if Some(c) == end => {
                    self.bump();
                    break;
                }
                Some('\n') => self.newline()?,
                Some('#') => self.comment(),
                Some(';') if !self.rest.starts_with(";;") => drop(self.bump()),
                Some('&' | '|') => self.operator(),
                Some('(') if !self.rest.starts_with("((") => {
                    self.bump();
                    self.list(Some(')'))?;
                    self.redirections_only()?;
                }
                Some(_) => self.command(end)?,
            }
            if self.rest.len() == before {
                return Err(Uncertain);
            }
        }
        self.depth -= 1;
        if self.depth > 0 && !self.heredocs.is_empty() { Err(Uncertain) } else { Ok(()) }
    }

    fn operator(&mut self) {
        for operator in ["&&", "||", "|&", "|", "&"] {
            if self.eat(operator) {
                return;
            }
        }
    }

    fn comment(&mut self) {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }

    /// A new line, after which the bodies of here-documents come.
    fn newline(&mut self) -> Result<(), Uncertain> {
        self.bump();
        for heredoc in std::mem::take(&mut self.heredocs) {
            loop {
                let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
                let is_last = line.len() == self.rest.len();
                self.rest = rest;
                let shown = if heredoc.strips_tabs { line.trim_start_matches('\t') } else { line };
                if shown == heredoc.delimiter {
                    break;
                }
                // The shell would run substitutions in the body.
                if is_last || (!heredoc.is_literal && line.contains(['`', '$', '\\'])) {
                    return Err(Uncertain);
                }
            }
        }
        Ok(())
    }

    /// Reads the redirections that may follow a subshell.
    fn redirections_only(&mut self) -> Result<(), Uncertain> {
        let mut command = SimpleCommand::default();
        loop {
            self.blanks();
            if !self.redirection(&mut command)? {
                break;
            }
        }
        match self.peek() {
            None | Some(';' | '&' | '|' | '\n' | ')') => Ok(()),
            Some(_) => Err(Uncertain),
        }
    }

    /// Reads a simple command.
    fn command(&mut self, end: Option<char>) -> Result<(), Uncertain> {
        let mut command = SimpleCommand::default();
        let mut names_command = true;
        loop {
            self.blanks();
            match self.peek() {
                None | Some(';' | '\n' | '|') => break,
                Some('&') if !self.rest.starts_with("&>") => break,
                Some(c) if Some(c) == end => break,
                Some('#') => self.comment(),
                _ => {}
            }
            if self.redirection(&mut command)? {
                continue;
            }
            if matches!(self.peek(), None | Some('\n')) {
                break;
            }
            let word = self.word()?;
            // A function's definition, or a list of an array.
            if self.peek() == Some('(') {
                return Err(Uncertain);
            }
            if names_command && !word.is_quoted && RESERVED.contains(&word.value.as_str()) {
                return Err(Uncertain);
            }
            names_command &= !word.is_quoted && is_assignment(&word.raw);
            if !command.text.is_empty() {
                command.text.push(' ');
            }
            command.text.push_str(&word.raw);
            command.words.push((!word.is_dynamic).then_some(word.value));
        }
        if !command.words.is_empty() {
            self.add(Part::Command(command))?;
        }
        Ok(())
    }

    fn add(&mut self, part: Part) -> Result<(), Uncertain> {
        self.parts.push(part);
        if self.parts.len() > MAX_PARTS { Err(Uncertain) } else { Ok(()) }
    }

    /// Reads a redirection. Returns false if there is none here.
    fn redirection(&mut self, command: &mut SimpleCommand) -> Result<bool, Uncertain> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = &self.rest[digits..];
        if !(after.starts_with(['<', '>']) || digits == 0 && after.starts_with("&>")) {
            return Ok(false);
        }
        self.rest = after;
        if self.eat("<<<") {
            self.blanks();
            self.word()?;
            return Ok(true);
        }
        if self.eat("<<") {
            let strips_tabs = self.eat("-");
            self.blanks();
            let word = self.word()?;
            if word.is_dynamic || word.value.is_empty() {
                return Err(Uncertain);
            }
            self.heredocs.push(Heredoc { delimiter: word.value, strips_tabs, is_literal: word.is_quoted });
            return Ok(true);
        }
        if self.rest.starts_with("<(") || self.rest.starts_with(">(") {
            self.rest = &self.rest[2..];
            self.list(Some(')'))?;
            // Text behind it belongs to the same word, so that `#` begins no comment there.
            if !matches!(self.peek(), None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | ')')) {
                return Err(Uncertain);
            }
            // The command gets a name that only the shell knows.
            command.words.push(None);
            command.text.push_str(" <()");
            return Ok(true);
        }
        let writes = ["&>>", "&>", ">>", ">|", "<>", ">&", ">"].into_iter().any(|operator| self.eat(operator));
        let duplicates = !writes && self.eat("<&");
        if !writes && !duplicates {
            self.eat("<");
        }
        self.blanks();
        let word = self.word()?;
        let is_descriptor =
            word.value == "-" || (!word.value.is_empty() && word.value.bytes().all(|b| b.is_ascii_digit()));
        if writes && !is_descriptor && word.value != "/dev/null" {
            self.add(Part::Write((!word.is_dynamic).then_some(word.value)))?;
        }
        Ok(true)
    }

    fn nested(&mut self, text: &'a str) -> Result<(), Uncertain> {
        let outer = std::mem::replace(&mut self.rest, text);
        self.list(None)?;
        self.rest = outer;
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `NAME=VALUE` or `NAME+=VALUE` before a command.
pub(super) fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name.strip_suffix('+').unwrap_or(name));
    name.is_some_and(|name| is_name(name) && !name.starts_with(|c: char| c.is_ascii_digit()))
}
