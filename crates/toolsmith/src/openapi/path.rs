//! Path templates.

use std::collections::BTreeSet;

use crate::model::Piece;
use crate::names::{slug, unique};

/// A path template in its parts.
pub(super) struct ParsedPath {
    pub(super) pieces: Vec<Piece>,
    /// Parameters of the query that the template fixes: `/search?kind=user`.
    pub(super) query: Vec<(String, String)>,
}

/// Splits `/users/{userId}/usage` into its parts. Understands what routers write into templates: `{id:[0-9]+}`, `{path*}`,
/// `{name?}` and `:id`.
pub(super) fn parse(template: &str) -> Result<ParsedPath, &'static str> {
    if template.chars().any(char::is_control) {
        return Err("paths with a control character");
    }
    if template.contains("://") {
        return Err("paths with a host");
    }
    let mut pieces = Pieces::default();
    if !template.starts_with('/') {
        pieces.literal.push('/');
    }
    let mut rest = template;
    while let Some(at) = rest.find(['{', '?', '#', ':']) {
        let (before, after) = rest.split_at(at);
        pieces.literal.push_str(before);
        match after.as_bytes()[0] {
            b'{' => {
                let end = closing(after).ok_or("paths with a `{` that is not closed")?;
                pieces.parameter(&after[1..end]);
                rest = &after[end + 1..];
            }
            b':' => {
                let name = after[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let name = &after[1..name.map_or(after.len(), |end| end + 1)];
                if before.ends_with('/') && !name.is_empty() {
                    pieces.parameter(name);
                    rest = &after[1 + name.len()..];
                } else {
                    pieces.literal.push(':');
                    rest = &after[1..];
                }
            }
            // A fragment only distinguishes two operations of one path.
            b'#' => {
                rest = "";
            }
            _ => {
                let query = after[1..].split('#').next().unwrap_or_default();
                let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
                pieces.query.extend(pairs.filter(|(_, value)| !value.contains(['{', '}'])));
                rest = "";
            }
        }
    }
    pieces.literal.push_str(rest);
    Ok(pieces.end())
}

/// The end of the braces at the start of a text, which may contain braces: `{id:[0-9]{4}}`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[derive(Default)]
struct Pieces {
    made: Vec<Piece>,
    literal: String,
    query: Vec<(String, String)>,
    taken: BTreeSet<String>,
}

impl Pieces {
    fn parameter(&mut self, text: &str) {
        let (name, rule) = text.split_once(':').unwrap_or((text, ""));
        let has_slashes =
            name.starts_with('*') || name.ends_with(['*', '+']) || [".*", ".+", "path", "*"].contains(&rule);
        let name = slug(name.trim_matches(['*', '+', '?', '.', '/', ';']));
        if !self.literal.is_empty() {
            self.made.push(Piece::Literal(encoded(&std::mem::take(&mut self.literal))));
        }
        let name = unique(&name, &mut self.taken);
        self.made.push(if has_slashes { Piece::Rest(name) } else { Piece::Parameter(name) });
    }

    fn end(mut self) -> ParsedPath {
        if !self.literal.is_empty() {
            self.made.push(Piece::Literal(encoded(&self.literal)));
        }
        ParsedPath { pieces: self.made, query: self.query }
    }
}

/// Percent-encodes the characters that a URL cannot contain.
fn encoded(text: &str) -> String {
    const ODD: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'`')
        .add(b'\\')
        .add(b'^')
        .add(b'|')
        .add(b'}');
    percent_encoding::utf8_percent_encode(text, ODD).to_string()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::model::shown_path;

    #[test]
    fn templates_of_all_routers_are_read() {
        for (template, shown) in [
            ("/users/{userId}/usage", "/users/USER_ID/usage"),
            ("users/{id}", "/users/ID"),
            ("/users/{id:[0-9]{4}}/x", "/users/ID/x"),
            ("/files/{path*}", "/files/PATH"),
            ("/files/{path:path}.json", "/files/PATH.json"),
            ("/users/:id/posts/:post_id", "/users/ID/posts/POST_ID"),
            ("/jobs/{id}:cancel", "/jobs/ID:cancel"),
            ("/Orders({id})/Items", "/Orders(ID)/Items"),
            ("/users/{id?}", "/users/ID"),
            ("/search?kind=user&q={q}", "/search"),
            ("/users#admin", "/users"),
            ("/a b/é", "/a%20b/%C3%A9"),
            ("/{a}/{a}", "/A/A_2"),
        ] {
            assert_eq!(shown_path(&parse(template).unwrap().pieces), shown, "{template}");
        }
        assert_eq!(parse("/search?kind=user&q={q}").unwrap().query, [("kind".to_owned(), "user".to_owned())]);
        for template in ["/x/{id", "/x\n", "https://a.test/x"] {
            assert!(parse(template).is_err(), "{template}");
        }
    }
}
