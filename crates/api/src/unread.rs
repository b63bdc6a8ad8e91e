//! Refuses what a route does not read: parameters, and the fields of a body. A limit in the wrong place would be no limit.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::plain::unknown_name;
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Map, Value};

use super::ApiError;
use crate::extract::parameters;

/// A body that nobody reads is read this far, to name its first field.
const MAX_UNREAD_BYTES: usize = 16 << 10;

/// Middleware of routes without parameters.
pub(super) async fn refuse_parameters(request: Request, next: Next) -> Response {
    let first = parameters(request.uri()).next().map(Cow::into_owned);
    match first {
        Some(name) => {
            let sentence = unknown_name("parameter", &name, &[]);
            ApiError::invalid(format!("{sentence}: this request has none behind the `?`")).into_response()
        }
        None => next.run(request).await,
    }
}

/// Middleware of routes without a body. An empty object is accepted, because some clients always send one.
pub(super) async fn refuse_body(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_UNREAD_BYTES).collect().await else {
        return ApiError::invalid("this request has no body").into_response();
    };
    let body = body.to_bytes();
    if body.trim_ascii().is_empty() {
        return next.run(Request::from_parts(parts, Body::empty())).await;
    }
    match serde_json::from_slice::<Map<String, Value>>(&body) {
        Ok(fields) => match fields.keys().next() {
            Some(name) => {
                let sentence = unknown_name("field", name, &[]);
                ApiError::invalid(format!("{sentence}: this request has no body")).into_response()
            }
            None => next.run(Request::from_parts(parts, Body::empty())).await,
        },
        Err(_) => ApiError::invalid("this request has no body").into_response(),
    }
}
