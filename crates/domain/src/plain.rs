//! The messages of libraries and of the operating system, in words for people: the subject, and what to do.

use std::io;

/// A name this similar to a known one is probably a misspelt one (Jaro-Winkler, 0 to 1).
const SIMILAR: f64 = 0.8;

/// The characters of a name that an error shows.
const MAX_SHOWN: usize = 64;

/// A sentence about a name that is not among `known`. It offers the nearest one, or lists all. `kind` is the kind of name.
pub fn unknown_name(kind: &str, name: &str, known: &[&str]) -> String {
    // A name may be as long as the body that has it.
    let shown: String = name.chars().take(MAX_SHOWN).collect();
    let lower = shown.to_lowercase();
    let similarities = known.iter().map(|known| (strsim::jaro_winkler(&lower, &known.to_lowercase()), known));
    let nearest = similarities.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest.filter(|(similarity, _)| *similarity >= SIMILAR) {
        Some((_, nearest)) => format!("{shown}: there is no such {kind}; did you mean {nearest}?"),
        None if known.is_empty() => format!("{shown}: there is no such {kind}"),
        None => format!("{shown}: there is no such {kind}; known are {}", known.join(", ")),
    }
}

/// Returns true if a file was probably meant to be `known`: its name differs in case or in a letter.
pub fn is_misspelt(name: &str, known: &str) -> bool {
    let distance = strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    name != known && distance <= if known.len() > 12 { 2 } else { 1 }
}

/// Translates a message of serde, as JSON and TOML have it. `kind` is the kind of a field. Another message stays as it is.
pub fn of_serde(kind: &str, message: &str) -> String {
    let (text, place) = match message.rsplit_once(" at line ") {
        Some((text, place)) if place.starts_with(|c: char| c.is_ascii_digit()) => (text, format!(" (line {place})")),
        _ => (message, String::new()),
    };
    let names = |rest: &str| rest.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let named = |rest: &str| names(rest).into_iter().next().unwrap_or_default();
    let words = if let Some(rest) = text.strip_prefix("unknown field ") {
        let names = names(rest);
        let known: Vec<&str> = names.iter().skip(1).map(String::as_str).collect();
        unknown_name(kind, names.first().map_or("", String::as_str), &known)
    } else if let Some(rest) = text.strip_prefix("unknown variant ") {
        let names = names(rest);
        format!("it must be {}, not {}", names.get(1..).unwrap_or_default().join(" or "), named(rest))
    } else if let Some(rest) = text.strip_prefix("missing field ") {
        format!("{} is missing", named(rest))
    } else if let Some(rest) = text.strip_prefix("duplicate field ") {
        format!("{} is there twice", named(rest))
    } else if let Some(rest) = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: ")) {
        match rest.rsplit_once(", expected ") {
            Some((found, expected)) => format!("it must be {}, not {}", expected_words(expected), found_words(found)),
            None => text.to_owned(),
        }
    } else if let Some((_, expected)) =
        text.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected "))
    {
        format!("it must be {}", expected_words(expected))
    } else {
        text.to_owned()
    };
    words + &place
}

fn expected_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        structure if structure.starts_with("struct ") => "an object",
        tuple if tuple.starts_with("tuple ") || tuple.starts_with("a tuple of ") => "a list of fixed length",
        other => other,
    }
}

fn found_words(found: &str) -> String {
    match found.split_once(' ') {
        Some(("string", text)) => format!("the text {text}"),
        Some(("integer" | "boolean", value)) => value.trim_matches('`').to_owned(),
        Some(("floating", rest)) => rest.trim_start_matches("point ").trim_matches('`').to_owned(),
        _ => match found {
            "map" => "an object".to_owned(),
            "sequence" => "a list".to_owned(),
            "unit value" | "Option value" => "null".to_owned(),
            "string" => "a text".to_owned(),
            "integer" | "floating point" => "a number".to_owned(),
            "boolean" => "true or false".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// Translates a message of Rust's parsers of numbers, addresses and URLs. Another message stays as it is.
pub fn of_parse(message: &str) -> &str {
    match message {
        "invalid digit found in string" => "it must be a whole number",
        "cannot parse integer from empty string" => "it is empty, and must be a whole number",
        "number too large to fit in target type" => "the number is too large",
        "number too small to fit in target type" => "the number is too small",
        "invalid float literal" | "cannot parse float from empty string" => "it must be a number",
        "provided string was not `true` or `false`" | "value was not a boolean" => "it must be true or false",
        "invalid IP address syntax" => "it must be an IP address, like 127.0.0.1, or 0.0.0.0 for all of this machine's",
        "invalid IPv4 address syntax" => "it must be an IPv4 address, like 127.0.0.1",
        "invalid IPv6 address syntax" => "it must be an IPv6 address, like ::1",
        "invalid socket address syntax" => "it must be an IP address and a port, like 127.0.0.1:3456",
        "relative URL without a base" => "it must be a whole URL, like https://host.example",
        "empty host" => "the URL has no host; it must be like https://host.example",
        "invalid port number" => "the URL's port must be a number from 0 to 65535",
        "invalid international domain name" | "invalid domain character" => "the URL's host is no valid name",
        "invalid IPv4 address" | "invalid IPv6 address" => "the URL's host is no valid IP address",
        other => other,
    }
}

/// Rust's message about a file that is no text.
const NOT_UTF8: &str = "stream did not contain valid UTF-8";

/// Replaces each message of the operating system in a text, which ends with `(os error N)`.
pub fn of_os(text: &str) -> String {
    const MARK: &str = " (os error ";
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(MARK) {
        let number = after.split_once(')').and_then(|(number, after)| Some((number.parse::<i32>().ok()?, after)));
        let Some((number, after)) = number else {
            plain.push_str(before);
            plain.push_str(MARK);
            rest = after;
            continue;
        };
        let error = io::Error::from_raw_os_error(number);
        let message = error.to_string();
        let message = message.split(MARK).next().unwrap_or_default();
        match (before.strip_suffix(message), words_of(error.kind())) {
            (Some(before), Some(words)) => {
                plain.push_str(before);
                plain.push_str(words);
            }
            (Some(before), None) => {
                plain.push_str(before);
                plain.push_str(&message.to_lowercase());
            }
            (None, _) => plain.push_str(before),
        }
        rest = after;
    }
    (plain + rest).replace(NOT_UTF8, "it is not UTF-8 text (save it as UTF-8)")
}

fn words_of(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::NotFound => "it does not exist (check the path)",
        io::ErrorKind::PermissionDenied => {
            "the user that runs this may not do that (change the owner or the mode, or run it as another user)"
        }
        io::ErrorKind::AlreadyExists => "it exists already",
        io::ErrorKind::NotADirectory => "a part of the path is not a directory",
        io::ErrorKind::IsADirectory => "it is a directory, and must be a file",
        io::ErrorKind::DirectoryNotEmpty => "the directory is not empty",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only (use a path on another one)",
        io::ErrorKind::StorageFull => "the disk is full (make room)",
        io::ErrorKind::QuotaExceeded => "the disk quota is used up (make room)",
        io::ErrorKind::InvalidFilename => "the name is too long",
        io::ErrorKind::AddrInUse => "another program listens there (stop it, or use another address)",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::ConnectionRefused => "nothing listens there",
        io::ErrorKind::ConnectionReset => "the other end closed the connection",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "there is no network route to it",
        io::ErrorKind::TimedOut => "it did not answer in time",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{of_os, of_serde, unknown_name};

    #[test]
    fn the_nearest_name_is_offered_if_one_is_near() {
        let known = ["sessionId", "message", "maxCostUsd", "maxTurns"];
        for (name, expected) in [
            ("maxCostUSD", "maxCostUSD: there is no such field; did you mean maxCostUsd?"),
            ("max_turns", "max_turns: there is no such field; did you mean maxTurns?"),
            ("session", "session: there is no such field; did you mean sessionId?"),
            ("xyz", "xyz: there is no such field; known are sessionId, message, maxCostUsd, maxTurns"),
        ] {
            assert_eq!(unknown_name("field", name, &known), expected);
        }
        assert!(unknown_name("field", &"x".repeat(4_000_000), &known).len() < 200);
    }

    #[test]
    fn messages_of_serde_become_sentences() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Sample {
            #[serde(rename = "turns")]
            _turns: u32,
            #[serde(default, rename = "names")]
            _names: Vec<String>,
        }
        let of = |json: &str| of_serde("field", &serde_json::from_str::<Sample>(json).unwrap_err().to_string());
        assert_eq!(of(r#"{"turn":1}"#), "turn: there is no such field; did you mean turns? (line 1 column 7)");
        assert_eq!(
            of(r#"{"turns":"x"}"#),
            "it must be a whole number, 0 or more, not the text \"x\" (line 1 column 12)"
        );
        assert_eq!(of(r#"{"turns":-1}"#), "it must be a whole number, 0 or more, not -1 (line 1 column 11)");
        assert_eq!(of(r#"{"turns":1,"names":{}}"#), "it must be a list, not an object (line 1 column 19)");
        assert_eq!(of("{}"), "turns is missing (line 1 column 2)");
        assert_eq!(of("[1,"), "EOF while parsing a value (line 1 column 3)");
    }

    #[test]
    fn messages_of_the_operating_system_say_what_to_do() {
        let missing = std::fs::read("/nowhere/at/all").unwrap_err();
        assert_eq!(
            of_os(&format!("could not read x: {missing}")),
            "could not read x: it does not exist (check the path)"
        );
        let reset = std::io::Error::from_raw_os_error(104);
        assert_eq!(
            of_os(&format!("{missing}; {reset}!")),
            "it does not exist (check the path); the other end closed the connection!"
        );
        assert_eq!(of_os("nothing (os error x) here"), "nothing (os error x) here");
    }
}
