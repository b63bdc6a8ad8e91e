//! Request bodies: JSON, read with errors that name the field.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{ApiError, MAX_BODY_BYTES};

/// The body as it came, within the limit.
pub(super) struct RawBody(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Bytes::from_request(request, state).await.map(RawBody).map_err(|rejection: BytesRejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::too_large(MAX_BODY_BYTES)
            } else {
                ApiError::invalid("the body could not be read to its end")
            }
        })
    }
}

impl RawBody {
    /// Decodes JSON. An error names the field and what it may be.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let cause = error.into_inner();
            match cause.classify() {
                serde_json::error::Category::Data if path != "." => ApiError::invalid(format!("{path}: {cause}")),
                serde_json::error::Category::Data => ApiError::invalid(cause.to_string()),
                _ => ApiError::invalid(format!("the body is not JSON: {cause}")),
            }
        })?;
        json.end().map_err(|error| ApiError::invalid(format!("the body is not JSON: {error}")))?;
        Ok(value)
    }
}
