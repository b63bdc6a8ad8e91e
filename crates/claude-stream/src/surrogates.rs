//! Lone surrogates. JavaScript keeps strings in UTF-16 and can cut a character in half, for example at the end of a
//! truncated tool result. `JSON.stringify` writes the half as `\ud83d`, which is valid JSON but not a valid Rust
//! string.

use std::borrow::Cow;

/// Replaces every lone surrogate with U+FFFD. JSON without any is borrowed, after a quick check.
pub(crate) fn replace_lone(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u") {
        return Cow::Borrowed(json);
    }
    let mut replaced = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        match code_unit(json, at) {
            Some(0xD800..=0xDBFF) if matches!(code_unit(json, at + ESCAPE), Some(0xDC00..=0xDFFF)) => at += 2 * ESCAPE,
            Some(0xD800..=0xDFFF) => {
                replaced.push_str(&json[copied..at]);
                replaced.push_str("\\ufffd");
                at += ESCAPE;
                copied = at;
            }
            Some(_) => at += ESCAPE,
            // Skips the backslash and the character that it escapes, which may be a backslash.
            None => at += 2,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    replaced.push_str(&json[copied..]);
    Cow::Owned(replaced)
}

/// The length of one `\uXXXX` in bytes.
const ESCAPE: usize = 6;

/// The UTF-16 code unit whose escape starts at `at`, or `None` if no such escape starts there.
fn code_unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    // `from_str_radix` accepts a sign.
    if digits.starts_with('+') { None } else { u16::from_str_radix(digits, 16).ok() }
}

#[cfg(test)]
mod tests {
    use super::replace_lone;

    #[test]
    fn only_lone_halves_are_replaced() {
        for (json, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDE00 x""#, r#""\ufffd x""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
            (r#""\ud83d\ude00 \u001b[0m \u00e9""#, r#""\ud83d\ude00 \u001b[0m \u00e9""#),
            (r#""\u+123 \ud8é \u"#, r#""\u+123 \ud8é \u"#),
            ("\\é\\u\\", "\\é\\u\\"),
        ] {
            assert_eq!(replace_lone(json), expected, "{json}");
        }
    }
}
