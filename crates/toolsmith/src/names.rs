//! Generates names from names in the input.

use std::collections::BTreeSet;

use domain::task::check_variable;

use super::model::Piece;

/// The maximum length of a name. File systems and readers have limits.
const MAX_NAME: usize = 48;
/// The maximum length of a text from the input.
const MAX_TEXT: usize = 200;

/// Lower-case letters, digits and single dashes, starting with a letter or a digit: `userId` and `user_id` become
/// `user-id`, and `заказы` becomes `zakazy`.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    let mut before = ' ';
    // Letters become at most a few letters each, so this is more than enough for a name.
    let start: String = text.chars().take(4 * MAX_NAME).collect();
    let text = if start.is_ascii() { start } else { deunicode::deunicode(&start) };
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            if character.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
                slug.push('-');
            }
            slug.push(character.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        before = character;
        if slug.len() >= MAX_NAME {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "item".to_owned() } else { slug.to_owned() }
}

/// Adds the slug to `taken` and returns it. If it is taken, a number is appended.
pub(super) fn unique(slug: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = slug.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{slug}-{number}");
        number += 1;
    }
    name
}

/// A variable name that is allowed in a task's `env`.
pub(super) fn variable(prefix: &str, name: &str) -> String {
    let name = shouted(name);
    let name = name.strip_prefix("X_").unwrap_or(&name);
    let variable = format!("{prefix}_{name}");
    if check_variable(&variable).is_ok() { variable } else { format!("API_{variable}_VALUE") }
}

pub(super) fn shouted(text: &str) -> String {
    slug(text).replace('-', "_").to_ascii_uppercase()
}

pub(super) fn singular(word: &str) -> String {
    for (plural, singular) in [("people", "person"), ("children", "child")] {
        if let Some(stem) = word.strip_suffix(plural) {
            return format!("{stem}{singular}");
        }
    }
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    let keeps = ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending));
    if keeps { word.to_owned() } else { word.strip_suffix('s').unwrap_or(word).to_owned() }
}

/// True for segments that do not name a resource: `api`, `rest`, `v2`.
pub(super) fn is_prefix(segment: &str) -> bool {
    let version = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    ["api", "rest", "odata"].contains(&segment) || segment.strip_prefix('v').is_some_and(version)
}

/// The segments of a path that are names. The flag says if a parameter follows.
fn words(path: &[Piece]) -> Vec<(String, bool)> {
    let mut words: Vec<(String, bool)> = Vec::new();
    for piece in path {
        match piece {
            Piece::Literal(text) => {
                let decoded = |segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
                let segments = text.split('/').map(decoded);
                // Numbers are versions: `/rest/api/2/issue`.
                let is_word = |segment: &str| segment.chars().any(char::is_alphabetic) && !is_prefix(segment);
                words.extend(segments.filter(|segment| is_word(segment)).map(|segment| (slug(&segment), false)));
            }
            Piece::Parameter(_) | Piece::Rest(_) => {
                if let Some(last) = words.last_mut() {
                    last.1 = true;
                }
            }
        }
    }
    words
}

/// Derives `users` from `/api/v1/users/USER_ID/usage`.
pub(super) fn resource(path: &[Piece]) -> String {
    words(path).into_iter().next().map_or_else(|| "root".to_owned(), |(word, _)| word)
}

/// Derives `get-user-usage` from `GET /api/v1/users/USER_ID/usage`.
pub(super) fn operation(method: &str, path: &[Piece]) -> String {
    let mut name = method.to_ascii_lowercase();
    for (word, has_parameter) in words(path) {
        name.push('-');
        name.push_str(&if has_parameter { singular(&word) } else { word });
    }
    slug(&name)
}

/// Converts a text to one line for people, without characters that a terminal or a reader could misinterpret.
pub(super) fn one_line(text: &str) -> String {
    let invisible =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let visible: String = text
        .chars()
        .filter(|c| !invisible(*c))
        .map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c })
        .collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > MAX_TEXT {
        line.chars().take(MAX_TEXT).chain(std::iter::once('…')).collect()
    } else {
        line
    }
}

/// True if a name from the input can appear in a script unchanged.
pub(super) fn is_sayable(name: &str) -> bool {
    !name.is_empty() && name.len() <= 200 && !name.chars().any(char::is_control)
}
