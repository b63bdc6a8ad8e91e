//! Detects the ids in a path.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::entry::RecordedRequest;
use crate::model::Piece;
use crate::names::{is_prefix, singular, slug, unique};
use crate::secrets::{is_uuid, looks_secret};

/// The maximum number of collected ids, more than a recording of a person's work contains.
const MAX_IDS: usize = 20_000;
/// A longer segment is an id, not a name.
const MAX_SEGMENT: usize = 40;

/// Collects the values of id fields in the responses. A path segment with such a value is a parameter.
pub(super) fn ids_in_answers(entries: &[&RecordedRequest]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for answer in entries.iter().filter_map(|entry| entry.answer.as_ref()) {
        let mut open = vec![answer];
        while let Some(value) = open.pop() {
            if ids.len() >= MAX_IDS {
                return ids;
            }
            match value {
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => {
                    for (name, value) in fields {
                        let name = slug(name);
                        match value {
                            Value::String(text) if name == "id" || name.ends_with("-id") || name == "slug" => {
                                ids.insert(text.clone());
                            }
                            value => open.push(value),
                        }
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
    ids
}

/// Splits the path and replaces its ids with parameters. The name of each comes from the segment before it.
pub(super) fn pieces(url: &Url, ids: &BTreeSet<String>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut before = String::new();
    let mut taken = BTreeSet::new();
    for (number, segment) in url.path().trim_start_matches('/').split('/').enumerate() {
        literal.push('/');
        let text = percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
        if is_id(&text, number, ids) {
            let name = if before.is_empty() { "id".to_owned() } else { format!("{}-id", singular(&slug(&before))) };
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            pieces.push(Piece::Parameter(unique(&name, &mut taken)));
        } else {
            literal.push_str(segment);
            if !is_prefix(&text) {
                before = text;
            }
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    pieces
}

fn is_id(text: &str, number: usize, ids: &BTreeSet<String>) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let hexadecimal = text.len() >= 8 && digits > 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let of_digits = digits > 0 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let odd = text.len() > MAX_SEGMENT || text.contains(['@', ' ']) || text.chars().any(char::is_control);
    let told = number > 0 && ids.contains(text);
    !text.is_empty() && (of_digits || hexadecimal || odd || told || is_uuid(text) || looks_secret(text))
}
