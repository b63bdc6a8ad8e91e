//! Lists in pages. The link to the next page is in the `Link` header, so that the body stays an array.

use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use store::{Cursor, MAX_PAGE_BYTES, Page};

use super::{ApiError, view};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Marks a search that ended before it had examined everything.
pub(super) const PARTIAL: HeaderName = HeaderName::from_static("x-partial");

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
        Paging::bounded(limit, cursor, DEFAULT_LIMIT, MAX_LIMIT)
    }

    /// The same for a list with a limit of its own.
    pub(super) fn bounded(
        limit: Option<&str>,
        cursor: Option<&str>,
        default: usize,
        max: usize,
    ) -> Result<Paging, ApiError> {
        let limit = match limit {
            None => Some(default),
            Some(text) => text.parse().ok().filter(|limit| (1..=max).contains(limit)),
        };
        let limit = limit.ok_or_else(|| ApiError::invalid(format!("limit: it must be from 1 to {max}")))?;
        let cursor = cursor.map(str::parse).transpose();
        let cursor = cursor.map_err(|_| ApiError::invalid("cursor: use the one of the Link header unchanged"))?;
        Ok(Paging { limit, cursor })
    }

    /// The page, which ends before [`MAX_PAGE_BYTES`], and the address of the next one under the same filters.
    pub(super) fn answer<T, S: Serialize>(
        &self,
        path: &str,
        page: &Page<T>,
        show: impl Fn(&T) -> S,
        filters: &[(&str, &Option<String>)],
    ) -> Response {
        let (body, next) = array(page, show);
        let mut response = ([(CONTENT_TYPE, JSON)], body).into_response();
        if page.partial {
            response.headers_mut().insert(PARTIAL, HeaderValue::from_static("true"));
        }
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

/// The rows that fit as a JSON array, at least one of them, and the position of the next page.
fn array<T, S: Serialize>(page: &Page<T>, show: impl Fn(&T) -> S) -> (String, Option<Cursor>) {
    let mut body = String::from("[");
    let mut last = None;
    for (item, position) in page.items.iter().zip(&page.positions) {
        let row = view::text(&show(item));
        if last.is_some() && body.len() + row.len() + 2 > MAX_PAGE_BYTES {
            return (body + "]", last);
        }
        if last.is_some() {
            body.push(',');
        }
        body.push_str(&row);
        last = Some(*position);
    }
    (body + "]", page.next)
}
