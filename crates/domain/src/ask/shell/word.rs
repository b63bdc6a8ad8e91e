//! One word of a command: its quotes, and the expansions in it.

use super::{Parser, Uncertain, is_name};

/// A word, as it is written and without its quotes.
#[derive(Default)]
pub(super) struct Word {
    pub(super) raw: String,
    pub(super) value: String,
    pub(super) is_dynamic: bool,
    pub(super) is_quoted: bool,
}

impl Parser<'_> {
    /// Reads one word. Commands in its substitutions become parts.
    pub(super) fn word(&mut self) -> Result<Word, Uncertain> {
        let begin = self.rest;
        let mut word = Word::default();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.bump();
                    let (inner, rest) = self.rest.split_once('\'').ok_or(Uncertain)?;
                    word.value.push_str(inner);
                    word.is_quoted = true;
                    self.rest = rest;
                }
                '"' => {
                    self.bump();
                    self.double_quoted(&mut word)?;
                }
                // A line that continues within a word: bash joins the lines before it looks for expansions and reserved words.
                '\\' if self.rest.starts_with("\\\n") => return Err(Uncertain),
                '\\' => {
                    self.bump();
                    word.value.extend(self.bump());
                    word.is_quoted = true;
                }
                '$' | '`' => self.expansion(&mut word)?,
                // Patterns, braces and `~` are expanded. `[` alone is a command.
                '*' | '?' | '[' | '{' | '~' => {
                    word.is_dynamic |= c != '[' || !word.value.is_empty() || !self.rest.starts_with("[ ");
                    word.value.push(c);
                    self.bump();
                }
                c if !c.is_ascii() => return Err(Uncertain),
                c => {
                    word.value.push(c);
                    self.bump();
                }
            }
        }
        let length = begin.len() - self.rest.len();
        if length == 0 {
            return Err(Uncertain);
        }
        begin[..length].clone_into(&mut word.raw);
        Ok(word)
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), Uncertain> {
        word.is_quoted = true;
        loop {
            match self.peek().ok_or(Uncertain)? {
                '"' => {
                    self.bump();
                    return Ok(());
                }
                '\\' if self.rest.starts_with("\\\n") => return Err(Uncertain),
                '\\' => {
                    self.bump();
                    let escaped = self.bump().ok_or(Uncertain)?;
                    if !matches!(escaped, '$' | '`' | '"' | '\\') {
                        word.value.push('\\');
                    }
                    word.value.push(escaped);
                }
                '$' | '`' => self.expansion(word)?,
                c => {
                    word.value.push(c);
                    self.bump();
                }
            }
        }
    }

    /// Reads what begins with `$` or a backtick.
    fn expansion(&mut self, word: &mut Word) -> Result<(), Uncertain> {
        if self.eat("`") {
            let (inner, rest) = self.rest.split_once('`').ok_or(Uncertain)?;
            // Inside backticks a backslash means something else.
            if inner.contains('\\') {
                return Err(Uncertain);
            }
            self.rest = rest;
            word.is_dynamic = true;
            return self.nested(inner);
        }
        self.bump();
        match self.peek() {
            Some('(') if self.rest.starts_with("((") => Err(Uncertain),
            Some('(') => {
                self.bump();
                word.is_dynamic = true;
                self.list(Some(')'))
            }
            Some('{') => {
                let (inner, rest) = self.rest[1..].split_once('}').ok_or(Uncertain)?;
                // Only a name: a longer form may run commands.
                if !is_name(inner) {
                    return Err(Uncertain);
                }
                word.is_dynamic = true;
                self.rest = rest;
                Ok(())
            }
            // `$[ ]` evaluates like `$(( ))`.
            Some('\'' | '"' | '[') => Err(Uncertain),
            Some(c) if c.is_ascii_alphanumeric() || matches!(c, '_' | '?' | '!' | '#' | '@' | '*' | '$' | '-') => {
                word.is_dynamic = true;
                self.bump();
                while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                    self.bump();
                }
                Ok(())
            }
            _ => {
                word.value.push('$');
                Ok(())
            }
        }
    }
}
