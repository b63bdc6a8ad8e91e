//! One operation.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::path::ParsedPath;
use super::source::Source;
use super::{body, parameters, security};
use crate::builder::Builder;
use crate::left_out::{LeftOut, Odd};
use crate::model::{Operation, TargetApi};
use crate::names::{self, slug, unique};

/// The maximum length of a media type.
const MAX_MEDIA_TYPE: usize = 200;

/// An operation in a document.
pub(super) struct Found<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a ParsedPath,
    pub(super) item: &'a Value,
    pub(super) operation: &'a Value,
    pub(super) place: &'a str,
}

/// Builds the operation. Parts that cannot be used are added to `left_out`.
pub(super) fn build(
    source: &Source<'_>,
    api: &TargetApi,
    found: &Found<'_>,
    taken: &mut BTreeSet<String>,
    left_out: &mut LeftOut,
) -> Result<Operation, Odd> {
    let Found { method, path, operation, .. } = *found;
    let id = operation["operationId"].as_str().filter(|id| !id.trim().is_empty()).map(slug);
    let name = id.unwrap_or_else(|| names::operation(method, &path.pieces));
    let mut builder = Builder::new(api, name, method, path.pieces.clone());
    builder.made.summary =
        ["summary", "description"].iter().find_map(|key| operation[*key].as_str()).map(str::to_owned);
    builder.made.fixed_query.clone_from(&path.query);
    security::add(source, found, &mut builder, left_out);
    parameters::add(source, found, &mut builder, left_out);
    body::add(source, found, &mut builder)?;
    if let Some(accept) = accept(source, operation) {
        builder.made.constants.insert("Accept".to_owned(), accept);
    }
    builder.made.name = unique(&builder.made.name, taken);
    Ok(builder.made)
}

/// The media types of a successful answer, if none of them is plain JSON. Without them a server may answer with another
/// type or refuse.
fn accept(source: &Source<'_>, operation: &Value) -> Option<String> {
    let responses = operation["responses"].as_object()?;
    let mut types: Vec<&str> = Vec::new();
    for (_, response) in responses.iter().filter(|(status, _)| status.starts_with('2')) {
        let response = source.resolved(response).ok()?;
        types.extend(response["content"].as_object().into_iter().flat_map(Map::keys).map(String::as_str));
    }
    let is_plain = |kind: &&str| kind.starts_with("application/json") || kind.contains('*') || !is_media_type(kind);
    if types.is_empty() || types.iter().any(is_plain) {
        return None;
    }
    types.dedup();
    Some(types.join(", ")).filter(|accept| accept.len() <= MAX_MEDIA_TYPE)
}

/// True if the text can be a value of the header `Content-Type`.
pub(super) fn is_media_type(text: &str) -> bool {
    text.contains('/') && text.len() <= MAX_MEDIA_TYPE && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
