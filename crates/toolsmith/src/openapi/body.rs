//! The body of an operation.

use serde_json::{Map, Value};

use super::NOWHERE;
use super::operation::{Found, is_media_type};
use super::schema::{Fields, Mark, Types, fields};
use super::source::Source;
use crate::builder::Builder;
use crate::left_out::Odd;
use crate::model::{BodyKind, Place};
use crate::secrets::is_secret_field;

/// Adds options for the body.
pub(super) fn add<'a>(source: &Source<'a>, found: &Found<'a>, builder: &mut Builder<'_>) -> Result<(), Odd> {
    let Some(body) = found.operation.get("requestBody").filter(|body| !body.is_null()) else { return Ok(()) };
    let place = |reference: String| Odd::new(NOWHERE, format!("{}.requestBody: {reference}", found.place));
    let body = source.resolved(body).map_err(place)?;
    let Some(content) = body["content"].as_object().filter(|content| !content.is_empty()) else { return Ok(()) };
    let required = body["required"] == true;
    let Some((name, media)) = chosen(content) else { return Ok(()) };
    let kind = name.to_ascii_lowercase();
    let is_wild = kind.contains('*');
    builder.made.media_type = Some(name.clone()).filter(|name| !is_wild && is_media_type(name));
    let schema = &media["schema"];
    let found_fields = fields(source, schema);
    if kind.contains("x-www-form-urlencoded") {
        builder.made.body = BodyKind::Form;
        add_fields(source, &found_fields, Place::Form, builder);
    } else if kind.starts_with("multipart/form-data") {
        builder.made.body = BodyKind::Parts;
        builder.made.media_type = None;
        add_fields(source, &found_fields, Place::Part, builder);
    } else if is_json(&kind) || (is_wild && (!found_fields.is_empty() || Types::of(source, schema).is_object())) {
        if found_fields.is_empty() {
            builder.whole_body(required);
        } else {
            builder.made.body = BodyKind::Json;
            add_fields(source, &found_fields, Place::Text, builder);
        }
    } else {
        builder.raw_body(required);
    }
    Ok(())
}

/// The media type that options can express best.
fn chosen(content: &Map<String, Value>) -> Option<(&String, &Value)> {
    let rank = |name: &str| {
        let name = name.to_ascii_lowercase();
        match () {
            () if name.starts_with("application/json") && !name.starts_with("application/json-") => 0,
            () if is_json(&name) && !name.contains('*') => 1,
            () if name.contains("x-www-form-urlencoded") => 2,
            () if name.starts_with("multipart/form-data") => 3,
            () if name.contains('*') => 4,
            () => 5,
        }
    };
    content.iter().min_by_key(|(name, _)| rank(name))
}

/// True for one JSON value, as opposed to several, one a line.
fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_many = ["ndjson", "json-seq", "jsonl", "json-lines"].iter().any(|many| kind.contains(many));
    (kind.ends_with("json") || kind == "application/json-patch") && !is_many
}

/// Adds options for the fields. `place` is the place of strings.
fn add_fields(source: &Source<'_>, fields: &Fields<'_>, place: Place, builder: &mut Builder<'_>) {
    for (name, schema) in &fields.of {
        let types = Types::of(source, schema);
        let about = source.resolved(schema).ok().and_then(|target| target["description"].as_str());
        let about = schema["description"].as_str().or(about);
        let required = fields.required.contains(name);
        let can_be_secret = types.is_text() && !types.is(Mark::Choice) && !types.is(Mark::Binary);
        if can_be_secret && (is_secret_field(name) || types.is(Mark::Password)) {
            builder.secret(name, place, required);
            continue;
        }
        let place = match place {
            Place::Text if !types.is_text() => Place::Json,
            Place::Part if name.contains('=') => continue,
            Place::Part if types.is(Mark::Binary) => Place::FilePart,
            Place::Part if types.is_object() => Place::JsonPart,
            place => place,
        };
        builder.input(name, place, required, about);
    }
}
