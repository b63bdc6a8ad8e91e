//! Extractors for path and query that answer errors in our form.

use std::borrow::Cow;
use std::collections::BTreeSet;

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
        let names: Vec<_> = parameters(&parts.uri).collect();
        fields::check::<T>("parameter", names.iter().map(|name| &**name))?;
        let mut seen = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(&***name)) {
            return Err(ApiError::invalid(format!("{name}: it may be given once")));
        }
        let axum::extract::Query(query) = axum::extract::Query::try_from_uri(&parts.uri)?;
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

#[cfg(test)]
mod tests {
    use axum::extract::FromRequestParts as _;
    use serde::Deserialize;

    use super::Query;

    #[derive(Debug, Deserialize)]
    struct Sample {
        limit: Option<String>,
        status: Option<String>,
    }

    async fn read(query: &str) -> Result<Sample, String> {
        let request = http::Request::builder().uri(format!("/tasks?{query}")).body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        let read = Query::<Sample>::from_request_parts(&mut parts, &()).await;
        read.map(|Query(sample)| sample).map_err(|error| error.sentence().to_owned())
    }

    #[tokio::test]
    async fn a_parameter_may_be_given_once_and_is_named() {
        let once = read("limit=1&status=done&ticket=a&ticket=b").await.unwrap();
        assert_eq!((once.limit.as_deref(), once.status.as_deref()), (Some("1"), Some("done")));
        for (query, sentence) in [
            ("limit=1&limit=2", "limit: it may be given once"),
            ("limit=1&status=done&%73tatus=done", "status: it may be given once"),
            ("limt=1&limt=2", "limt: there is no such parameter; did you mean limit?"),
        ] {
            assert_eq!(read(query).await.unwrap_err(), sentence, "{query}");
        }
    }
}
