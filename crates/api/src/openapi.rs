//! `GET /openapi.json` and `GET /asyncapi.json`: this API, described for programs.

use http::HeaderValue;
use http::header::CONTENT_TYPE;

/// Written by hand, and held against the routes and against real answers by tests of the documents.
const DESCRIPTION: &str = include_str!("openapi.json");

/// The events of a stream, which OpenAPI has no words for. Held against the code and against real events.
const EVENTS: &str = include_str!("asyncapi.json");

type Document = ([(http::HeaderName, HeaderValue); 1], &'static str);

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) async fn describe() -> Document {
    ([(CONTENT_TYPE, JSON)], DESCRIPTION)
}

pub(super) async fn describe_events() -> Document {
    ([(CONTENT_TYPE, JSON)], EVENTS)
}
