//! The body of a recorded request.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::entry::string;
use crate::input::{json, text};

/// The maximum size of an unpacked body.
const MAX_BODY: u64 = 16 * 1024 * 1024;

pub(super) enum Sent {
    Nothing,
    Object(Map<String, Value>),
    /// JSON that is not an object.
    Json(Value),
    Form(Vec<(String, String)>),
    Parts(Vec<Part>),
    /// Content that options cannot express.
    Raw,
}

/// A part of a multipart body.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) is_file: bool,
}

impl Sent {
    /// Reads `postData`. Returns the body and its media type.
    pub(super) fn of(body: &Value, content_type: Option<&str>) -> (Self, Option<String>) {
        let media_type = string(&body["mimeType"]).filter(|media_type| !media_type.is_empty());
        let media_type = media_type.or_else(|| content_type.map(str::to_owned)).filter(|kind| is_media_type(kind));
        let kind = media_type.as_deref().unwrap_or_default().to_ascii_lowercase();
        let params = body["params"].as_array().map(Vec::as_slice).unwrap_or_default();
        let content = content(body);
        let content = content.as_deref();
        let sent = if kind.contains("x-www-form-urlencoded") {
            Self::form(params, content)
        } else if kind.starts_with("multipart/form-data") {
            Self::parts(params, content)
        } else {
            match content {
                None if !params.is_empty() => Self::form(params, None),
                None => Sent::Nothing,
                Some(content) => Self::other(&kind, content),
            }
        };
        let has_type = !matches!(sent, Sent::Nothing | Sent::Parts(_));
        (sent, media_type.filter(|_| has_type))
    }

    fn form(params: &[Value], content: Option<&str>) -> Self {
        // `params` are sometimes encoded and sometimes not. The text is what was sent.
        let given = || params.iter().filter_map(|param| string(&param["name"]).map(|name| (name, value_of(param))));
        let fields: Vec<(String, String)> = match content {
            Some(content) => {
                url::form_urlencoded::parse(content.trim_end_matches(['\r', '\n']).as_bytes()).into_owned().collect()
            }
            None => given().map(|(name, value)| (decoded(&name), decoded(&value))).collect(),
        };
        if fields.is_empty() { Sent::Nothing } else { Sent::Form(fields) }
    }

    fn parts(params: &[Value], content: Option<&str>) -> Self {
        let given = params.iter().filter_map(|param| {
            let name = string(&param["name"])?;
            let is_file = string(&param["fileName"]).is_some_and(|name| !name.is_empty());
            Some(Part { name, value: value_of(param), is_file })
        });
        let mut parts: Vec<Part> = given.collect();
        if parts.is_empty() {
            parts = content.into_iter().flat_map(parts_of_text).collect();
        }
        if parts.is_empty() { Sent::Raw } else { Sent::Parts(parts) }
    }

    fn other(kind: &str, content: &str) -> Self {
        match json::value(content) {
            Ok(Value::Object(object)) => Sent::Object(object),
            Ok(value) if kind.contains("json") && !kind.contains("ndjson") => Sent::Json(value),
            Ok(_) | Err(_) => Sent::Raw,
        }
    }
}

/// The text of a body. It is `None` if there is none.
fn content(body: &Value) -> Option<String> {
    let content = string(&body["text"]).filter(|content| !content.is_empty())?;
    let encoding = ["encoding", "_encoding", "comment"].iter().find_map(|key| body[*key].as_str());
    if !encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64")) {
        return Some(content);
    }
    Some(from_base64(&content).unwrap_or(content))
}

/// Decodes base64, and gzip in it.
pub(super) fn from_base64(content: &str) -> Option<String> {
    let compact: String = content.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(compact).ok()?;
    let bytes = if text::is_gzip(&bytes) { text::unpacked(&bytes, MAX_BODY).ok()? } else { bytes };
    Some(text::decoded(&bytes).into_owned())
}

fn value_of(param: &Value) -> String {
    string(&param["value"]).unwrap_or_default()
}

fn parts_of_text(content: &str) -> Vec<Part> {
    let header = |line: &str, key: &str| {
        let (_, rest) = line.split_once(&format!("; {key}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let mut parts = Vec::new();
    let mut lines = content.lines();
    while let Some(line) = lines.next() {
        if !line.to_ascii_lowercase().starts_with("content-disposition:") {
            continue;
        }
        let Some(name) = header(line, "name") else { continue };
        let is_file = header(line, "filename").is_some();
        let value = lines.by_ref().skip_while(|line| !line.is_empty()).nth(1).unwrap_or_default().to_owned();
        parts.push(Part { name, value, is_file });
    }
    parts
}

/// True if the text can be a value of the header `Content-Type`.
fn is_media_type(text: &str) -> bool {
    text.contains('/') && text.len() <= 200 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
