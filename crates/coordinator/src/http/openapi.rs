//! `GET /openapi.json`: this API, described for programs.

use http::HeaderValue;
use http::header::CONTENT_TYPE;

/// Written by hand, and held against the routes by a test of the documents.
const DESCRIPTION: &str = include_str!("openapi.json");

pub(super) async fn describe() -> ([(http::HeaderName, HeaderValue); 1], &'static str) {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], DESCRIPTION)
}
