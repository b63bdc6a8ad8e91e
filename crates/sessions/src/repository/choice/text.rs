//! A prompt as links and words.

/// A part of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The text between the previous token and this one, and the punctuation at this one's edges.
    pub(super) gap: &'a str,
    pub(super) text: &'a str,
    /// The text has a scheme, such as `https://`.
    pub(super) is_link: bool,
}

/// Splits a prompt. Punctuation around a word is not part of it, except a leading `@`, `/`, `.` or `~` that makes it a
/// path or a package.
pub(super) fn tokens(prompt: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut done = 0;
    let mut rest = 0;
    while let Some(found) = prompt[rest..].find(|c: char| !is_break(c)) {
        let start = rest + found;
        let end = prompt[start..].find(is_hard_break).map_or(prompt.len(), |length| start + length);
        let (word, is_link) = match link_start(&prompt[start..end]) {
            Some(0) => (start..start + link_length(&prompt[start..end]), true),
            Some(link) => (start..start + word_length(&prompt[start..start + link]), false),
            None => (start..start + word_length(&prompt[start..end]), false),
        };
        rest = word.end;
        let text = trimmed(&prompt[word.clone()]);
        if text.is_empty() {
            continue;
        }
        let offset = text.as_ptr() as usize - prompt.as_ptr() as usize;
        tokens.push(Token { gap: &prompt[done..offset], text, is_link });
        done = offset + text.len();
    }
    tokens
}

/// Characters that end a link.
fn is_hard_break(c: char) -> bool {
    // Scripts without spaces between words start at Thai. No name of a repository has one of their letters.
    let foreign = !c.is_ascii() && (!c.is_alphabetic() || c >= '\u{e00}');
    c.is_whitespace() || c.is_control() || "<>\"`\\^|".contains(c) || foreign
}

fn is_break(c: char) -> bool {
    is_hard_break(c) || "()[]{}',;*=!?".contains(c)
}

/// The start of a link with a scheme.
fn link_start(text: &str) -> Option<usize> {
    let colon = text.find("://")?;
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-".contains(c);
    let before = text[..colon].trim_end_matches(of_scheme).len();
    (before < colon).then_some(before)
}

/// The length of the link at the start of a text. Brackets and commas are allowed in a link, but at the end of one they
/// belong to the sentence.
fn link_length(text: &str) -> usize {
    let scheme = text.find("://").map_or(0, |colon| colon + 3);
    scheme + text[scheme..].find([')', ']', '}', '\'', ',', ';', '*']).unwrap_or(text.len() - scheme)
}

fn word_length(text: &str) -> usize {
    text.find(is_break).unwrap_or(text.len())
}

fn trimmed(word: &str) -> &str {
    let word = word.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == '/' || c == '_'));
    word.trim_start_matches(|c: char| !(c.is_alphanumeric() || "/_@.~$".contains(c)))
}
