//! The body of a recorded request.

use serde_json::{Map, Value};

use super::entry::RawBody;

pub(super) enum Sent {
    Nothing,
    Object(Map<String, Value>),
    /// JSON that is not an object.
    Json,
    Form(Vec<(String, String)>),
    /// Files, and other content that options cannot express.
    Other,
}

impl Sent {
    pub(super) fn of(body: Option<RawBody>) -> Self {
        let Some(RawBody { mime_type, text, params }) = body else { return Sent::Nothing };
        let mime_type = mime_type.to_ascii_lowercase();
        if mime_type.contains("x-www-form-urlencoded") {
            let given = params.into_iter().map(|pair| (decoded(&pair.name), decoded(&pair.value))).collect::<Vec<_>>();
            let of_text = || {
                text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            };
            let parsed = || of_text().map(|(name, value)| (decoded(name), decoded(value))).collect();
            return Sent::Form(if given.is_empty() { parsed() } else { given });
        }
        match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => Sent::Object(object),
            Ok(_) if mime_type.contains("json") => Sent::Json,
            Ok(_) | Err(_) if text.is_empty() && params.is_empty() => Sent::Nothing,
            Ok(_) | Err(_) => Sent::Other,
        }
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
