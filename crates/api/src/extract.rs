//! Extractors for path and query that answer errors in our form.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::extract::rejection::{PathRejection, QueryRejection};
use http::Uri;
use http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::{ApiError, fields};

/// The variables in the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(super) struct Path<T>(pub(super) T);

/// The parameters behind the `?`. One that is not known is refused.
pub(super) struct Query<T>(pub(super) T);

/// The parameter of a ticket, which the access check has read.
const TICKET: &str = "ticket";

/// The names of a request's parameters, without that of a ticket.
pub(super) fn parameters(uri: &Uri) -> impl Iterator<Item = Cow<'_, str>> {
    let query = uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).map(|(name, _)| name).filter(|name| name != TICKET)
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let axum::extract::Query(query) = axum::extract::Query::try_from_uri(&parts.uri)?;
        let names: Vec<_> = parameters(&parts.uri).collect();
        fields::check::<T>("parameter", names.iter().map(|name| &**name))?;
        Ok(Query(query))
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        ApiError::invalid(rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        ApiError::invalid(rejection.body_text())
    }
}
