//! Patterns of scripts: `*` matches anything, `{name}` captures one word, and everything else matches itself, ignoring
//! case.

use std::collections::BTreeMap;

/// The words that the pattern's `{name}`s captured.
pub(super) type Captures = BTreeMap<String, String>;

/// A pattern for a complete text. A word is a run without blanks, brackets, quotes and `@`. Trailing punctuation is not
/// part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Anything,
    Character(char),
    Word(String),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    #[error("the pattern `{0}` has an unclosed `{{`")]
    Unclosed(String),
    #[error("the pattern `{0}` has a capture whose name is not letters, digits and `_`")]
    BadName(String),
}

/// The number of characters of a text that are matched. It bounds the backtracking below.
const LOOKED_AT: usize = 4_000;

impl Pattern {
    pub(super) fn parse(pattern: &str) -> Result<Self, PatternError> {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            tokens.push(match character {
                '*' => Token::Anything,
                '{' => {
                    let (name, after) =
                        rest.split_once('}').ok_or_else(|| PatternError::Unclosed(pattern.to_owned()))?;
                    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                        return Err(PatternError::BadName(pattern.to_owned()));
                    }
                    rest = after;
                    Token::Word(name.to_owned())
                }
                _ => Token::Character(character),
            });
        }
        Ok(Self(tokens))
    }

    /// Returns the captures if the pattern matches all of `text`.
    pub(super) fn matches(&self, text: &str) -> Option<Captures> {
        let text: Vec<char> = text.chars().take(LOOKED_AT).collect();
        let mut captures = Captures::new();
        matches(&self.0, &text, &mut captures).then_some(captures)
    }

    /// The names of the captures.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|token| match token {
            Token::Word(name) => Some(name.as_str()),
            Token::Anything | Token::Character(_) => None,
        })
    }
}

fn matches(tokens: &[Token], text: &[char], captures: &mut Captures) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
    match token {
        Token::Anything if rest.is_empty() => true,
        Token::Anything => (0..=text.len()).any(|taken| matches(rest, &text[taken..], captures)),
        Token::Character(wanted) => text
            .split_first()
            .is_some_and(|(found, after)| found.eq_ignore_ascii_case(wanted) && matches(rest, after, captures)),
        Token::Word(name) => {
            let run = text.iter().take_while(|character| in_word(**character)).count();
            let word = text[..run].iter().rposition(|last| !ends_sentence(*last)).map_or(0, |last| last + 1);
            if word == 0 || !matches(rest, &text[word..], captures) {
                return false;
            }
            captures.insert(name.clone(), text[..word].iter().collect());
            true
        }
    }
}

fn in_word(character: char) -> bool {
    !character.is_whitespace() && !"()<>[]{}\"'`@".contains(character)
}

fn ends_sentence(character: char) -> bool {
    ".,;:!?".contains(character)
}

#[cfg(test)]
mod tests;
