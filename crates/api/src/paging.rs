//! Lists in pages. The link to the next page is in the `Link` header, so that the body stays an array.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::LINK;
use serde::Serialize;
use store::Cursor;

use super::ApiError;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 500;

/// The page that is asked for.
pub(super) struct Paging {
    pub(super) limit: usize,
    pub(super) cursor: Option<Cursor>,
}

impl Paging {
    /// Reads the fields `limit` and `cursor` of a query.
    pub(super) fn asked(limit: Option<&str>, cursor: Option<&str>) -> Result<Paging, ApiError> {
        let limit = match limit {
            None => Some(DEFAULT_LIMIT),
            Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)),
        };
        let limit = limit.ok_or_else(|| ApiError::invalid(format!("limit: it must be from 1 to {MAX_LIMIT}")))?;
        let cursor = cursor.map(str::parse).transpose();
        let cursor = cursor.map_err(|_| ApiError::invalid("cursor: use the one of the Link header unchanged"))?;
        Ok(Paging { limit, cursor })
    }

    /// The page, and where there is a next one its address, under the same filters.
    pub(super) fn answer(
        &self,
        path: &str,
        items: &[impl Serialize],
        next: Option<Cursor>,
        filters: &[(&str, &Option<String>)],
    ) -> Response {
        let mut response = Json(items).into_response();
        let Some(next) = next else { return response };
        let mut target = format!("<{path}?limit={}&cursor={next}", self.limit);
        for (name, value) in filters.iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value))) {
            let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            target.extend(["&", name, "=", &value.to_string()]);
        }
        target.push_str(">; rel=\"next\"");
        if let Ok(link) = HeaderValue::from_str(&target) {
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}
