//! JSON as programs really write it: with lone surrogates, NaN, control characters, commas too many, and cut in the middle.

use std::fmt::Write as _;

use serde_json::Value;

/// Parses JSON, and mends it first if it is not valid. The error is that of the text as it is.
pub(crate) fn value(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| serde_json::from_str(&mended(text)).map_err(|_| error))
}

/// Replaces what is not JSON: half surrogate pairs by U+FFFD, numbers that are not finite by null, control characters
/// and unknown escapes in strings by valid escapes. Removes commas at the end of lists and objects.
pub(crate) fn mended(text: &str) -> String {
    let mut made = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => mend_string(rest, &mut made),
            ',' if matches!(rest[1..].trim_start().chars().next(), Some(']' | '}')) => 1,
            c if is_of_word(c) => {
                let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                made.push_str(mended_word(&rest[..end]));
                end
            }
            c => {
                made.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[end..];
    }
    made
}

const fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_')
}

fn mended_word(word: &str) -> &str {
    let is_finite = word.parse::<f64>().is_ok_and(f64::is_finite);
    let is_number = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let is_odd = matches!(word, "NaN" | "nan" | "Infinity" | "inf" | "undefined" | "None");
    if is_odd || (is_number && !is_finite) { "null" } else { word }
}

/// Copies the string at the start of `rest`. Returns its length.
fn mend_string(rest: &str, made: &mut String) -> usize {
    made.push('"');
    let mut at = 1;
    while let Some(found) = rest[at..].find(|c: char| c == '"' || c == '\\' || c < ' ') {
        made.push_str(&rest[at..at + found]);
        at += found;
        match rest.as_bytes()[at] {
            b'"' => {
                made.push('"');
                return at + 1;
            }
            b'\\' => at += mend_escape(&rest[at..], made),
            control => {
                let _ = write!(made, "\\u{control:04x}");
                at += 1;
            }
        }
    }
    made.push_str(&rest[at..]);
    rest.len()
}

/// Copies the escape at the start of `rest`. Returns its length.
fn mend_escape(rest: &str, made: &mut String) -> usize {
    const PAIR: usize = 12;
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    match (rest.as_bytes().get(1), unit(0)) {
        (Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'), _) => {
            made.push_str(&rest[..2]);
            2
        }
        (_, Some(0xd800..=0xdbff)) if matches!(unit(6), Some(0xdc00..=0xdfff)) => {
            made.push_str(&rest[..PAIR]);
            PAIR
        }
        (_, Some(0xd800..=0xdfff)) => {
            made.push_str("\\ufffd");
            6
        }
        (_, Some(_)) => {
            made.push_str(&rest[..6]);
            6
        }
        (_, None) => {
            made.push_str("\\\\");
            1
        }
    }
}

/// Closes a text that is cut in the middle: ends it after the last complete item of a list at this depth. `None` if
/// there is no complete item.
pub(crate) fn closed(text: &str, depth: usize) -> Option<String> {
    let mut open: Vec<u8> = Vec::new();
    let mut good = None;
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => {
                open.pop();
                if open.len() == depth && open.last() == Some(&b']') {
                    good = Some((at + 1, open.clone()));
                }
            }
            _ => {}
        }
    }
    let (end, open) = good?;
    Some(text[..end].chars().chain(open.iter().rev().map(|byte| char::from(*byte))).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{closed, mended, value};

    #[test]
    fn what_is_nearly_json_is_read() {
        for (text, read) in [
            (r#"["\ud83d", "\ud83d\ude00", "\ude00x", "\ud83d\ud83d\ude00"]"#, json!(["�", "😀", "�x", "�😀"])),
            (r"[NaN, -Infinity, 1e999, -1e999, 1e10, undefined]", json!([null, null, null, null, 1e10, null])),
            ("[\"a\nb\tc\", \"\\x \\' \\u12\"]", json!(["a\nb\tc", "\\x \\' \\u12"])),
            (r#"{"a": [1, 2, ], "NaN": "1e999",}"#, json!({ "a": [1, 2], "NaN": "1e999" })),
        ] {
            assert_eq!(value(text).unwrap(), read, "{text}");
        }
        for text in ["{", "[1 2]", "{'a': 1}", "[\"a]"] {
            assert!(value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_cut_ends_after_its_last_item() {
        let text = r#"{"log": {"pages": [{"a": "]}"}], "entries": [{"x": [{}]}, {"y": {"z": 1"#;
        let read: Value = serde_json::from_str(&closed(text, 3).unwrap()).unwrap();
        assert_eq!(read, json!({ "log": { "pages": [{ "a": "]}" }], "entries": [{ "x": [{}] }] } }));
        assert_eq!(closed(r#"{"log": {"entries": [{"x": 1"#, 3), None);
    }

    proptest! {
        #[test]
        fn valid_json_stays_as_it_is(text in "[\\x00-\\x7fäé😀]{0,20}", number: f64) {
            let valid = json!({ &text: [text, number, null, true] }).to_string();
            prop_assert_eq!(mended(&valid), valid);
        }
    }
}
