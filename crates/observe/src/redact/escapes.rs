//! The spellings of a character in a JSON string.

use memchr::memmem;

/// Replaces needless escapes of ASCII characters: `\u0041` becomes `A`, `\/` becomes `/`. Returns `None` if there are
/// none.
pub(super) fn undone(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    if memmem::find(bytes, b"\\u00").is_none() && memmem::find(bytes, b"\\/").is_none() {
        return None;
    }
    let mut plain = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let (spelled, length) = unescape(rest);
        match spelled {
            Some(character @ ('"' | '\\')) => plain.extend(['\\', character]),
            Some(character) => plain.push(character),
            None => plain.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    plain.push_str(rest);
    Some(plain)
}

/// The text as the content of a JSON string. Returns `None` if it needs no escapes.
pub(super) fn escaped(text: &str) -> Option<String> {
    let needed = text.contains(['"', '\\']) || text.chars().any(char::is_control);
    let quoted = needed.then(|| serde_json::to_string(text).ok()).flatten()?;
    Some(quoted[1..quoted.len() - 1].to_owned())
}

/// Reads the escape at the start of `rest`. Returns the character if the escape is needless, and its length in bytes.
fn unescape(rest: &str) -> (Option<char>, usize) {
    let hexadecimal = || u8::from_str_radix(rest.get(4..6)?, 16).ok().filter(|byte| (0x20..0x7f).contains(byte));
    if rest.starts_with("\\/") {
        return (Some('/'), 2);
    }
    match rest.starts_with("\\u00").then(hexadecimal).flatten() {
        Some(byte) => (Some(byte.into()), 6),
        // In valid JSON the character after a backslash is ASCII.
        None => (None, if rest.is_char_boundary(2) && rest.len() >= 2 { 2 } else { 1 }),
    }
}
