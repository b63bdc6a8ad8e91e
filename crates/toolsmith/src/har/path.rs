//! Splits a recorded path and replaces its ids with parameters.

use std::collections::BTreeSet;

use url::Url;

use super::ids::Ids;
use crate::model::Piece;
use crate::names::{is_prefix, singular, slug, unique};

/// The parts of a path. The name of each parameter comes from the segment before it.
pub(super) fn pieces(url: &Url, ids: &Ids) -> Vec<Piece> {
    let mut made = Pieces::default();
    let origin = url.origin().ascii_serialization();
    let mut before: Option<String> = None;
    // The resource: the last segment that is a name.
    let mut resource = String::new();
    for (number, segment) in url.path().trim_start_matches('/').split('/').enumerate() {
        made.literal.push('/');
        let text = percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let is_version = number == 0 && ids.is_version(&origin, &text);
        if let Some((start, end)) = id_inside(segment, ids, before.as_deref()).filter(|_| !is_version) {
            // `/orders/1042.json`, `/operations/7:cancel` and `/Orders(7)`
            let name = segment[..start].trim_end_matches(['(', '\'']);
            made.literal.push_str(&segment[..start]);
            made.parameter(if name.is_empty() { &resource } else { name });
            made.literal.push_str(&segment[end..]);
            if !name.is_empty() {
                name.clone_into(&mut resource);
            }
        } else if !is_version && ids.is_id(&text, before.as_deref()) {
            made.parameter(&resource);
        } else {
            made.literal.push_str(segment);
            if !is_prefix(&text) && !is_version {
                resource.clone_from(&text);
            }
        }
        before = Some(text);
    }
    made.end()
}

/// The place of an id that is a part of a segment.
fn id_inside(segment: &str, ids: &Ids, before: Option<&str>) -> Option<(usize, usize)> {
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if let Some((name, rest)) = segment.split_once('(').filter(|_| segment.ends_with(')'))
        && is_name(name)
    {
        let value = rest.trim_end_matches(')');
        let quote = usize::from(value.starts_with('\'') && value.ends_with('\'') && value.len() > 1);
        let value = &value[quote..value.len() - quote];
        let is_plain = !value.is_empty() && !value.contains(['(', ')', '=', ',']);
        let start = name.len() + 1 + quote;
        return (is_plain && (quote == 1 || ids.is_id(value, Some(name)))).then_some((start, start + value.len()));
    }
    let end = segment.rfind([':', '.'])?;
    let suffix = &segment[end + 1..];
    // The ending of a file is short, and that of an e-mail address is not one.
    let longest = if segment[end..].starts_with(':') { 20 } else { 5 };
    let is_word = suffix.starts_with(|c: char| c.is_ascii_lowercase()) && suffix.len() <= longest && is_name(suffix);
    (is_word && !segment.contains('@') && ids.is_id(&segment[..end], before)).then_some((0, end))
}

#[derive(Default)]
struct Pieces {
    made: Vec<Piece>,
    literal: String,
    taken: BTreeSet<String>,
}

impl Pieces {
    fn parameter(&mut self, resource: &str) {
        let name = if resource.is_empty() { "id".to_owned() } else { format!("{}-id", singular(&slug(resource))) };
        let literal = std::mem::take(&mut self.literal);
        if !literal.is_empty() {
            self.made.push(Piece::Literal(literal));
        }
        self.made.push(Piece::Parameter(unique(&name, &mut self.taken)));
    }

    fn end(mut self) -> Vec<Piece> {
        if !self.literal.is_empty() {
            self.made.push(Piece::Literal(self.literal));
        }
        self.made
    }
}
