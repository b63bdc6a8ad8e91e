//! Cleans text for the terminal: agents and callers can write control sequences.

use std::borrow::Cow;
use std::io::IsTerminal as _;

/// Returns the columns of the terminal on stdout, or `None` if stdout is not a terminal and has no width limit.
pub(super) fn width() -> Option<usize> {
    let terminal = std::io::stdout().is_terminal().then(console::Term::stdout)?;
    terminal.size_checked().map(|(_, columns)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// Removes everything that controls a terminal: control characters except line ends and tabs, and those that change the writing
/// direction.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().filter(|c| *c != '\r').map(|c| if steers(c) { '\u{fffd}' } else { c });
    Cow::Owned(shown.collect())
}

/// Escapes the same characters in a line of JSON, which itself requires only some of these escapes.
pub(super) fn json_line(json: &str) -> Cow<'_, str> {
    if !json.contains(steers) {
        return Cow::Borrowed(json);
    }
    let escaped = |c: char| if steers(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(json.chars().map(escaped).collect())
}

fn steers(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Like [`printable`], but on one line.
pub(super) fn on_one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns one line of at most this many characters.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    let line = on_one_line(text);
    match line.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(super::printable("a\tb\nc é 日"), "a\tb\nc é 日");
        assert_eq!(
            super::printable("\u{1b}]0;t\u{7}x\r\n\u{9b}2J\u{202e}y"),
            "\u{fffd}]0;t\u{fffd}x\n\u{fffd}2J\u{fffd}y"
        );
        assert_eq!(super::json_line("{\"a\":\"\u{9b}2J\u{7f}日\"}"), r#"{"a":"\u009b2J\u007f日"}"#);
        assert_eq!(super::shortened("one\n  two three", 7), "one two…");
    }
}
