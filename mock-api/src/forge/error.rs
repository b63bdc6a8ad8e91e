//! Errors in GitHub's shape: `{"message","documentation_url","status","errors"?}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::fault::Fault;

#[derive(Debug, thiserror::Error)]
pub(super) enum ForgeError {
    #[error("Bad credentials")]
    BadCredentials,
    #[error("Requires authentication")]
    NoCredentials,
    /// The resource does not exist, or the token may not see it. The token cannot tell the difference.
    #[error("Not Found")]
    NotFound,
    #[error("Branch not found")]
    NoBranch,
    #[error("Resource not accessible by personal access token")]
    Forbidden,
    #[error("Repository was archived so is read-only.")]
    Archived,
    #[error("API rate limit exceeded for this token.")]
    RateLimited,
    #[error("Problems parsing JSON")]
    MalformedBody,
    #[error("Validation Failed")]
    Invalid { resource: &'static str, field: Option<&'static str>, code: &'static str, message: Option<String> },
    #[error("{}", .0.message)]
    Ordered(Fault),
    #[error("git could not be run: {0}")]
    Git(#[from] std::io::Error),
}

impl ForgeError {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadCredentials | Self::NoCredentials => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::NoBranch => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::Archived | Self::RateLimited => StatusCode::FORBIDDEN,
            Self::MalformedBody => StatusCode::BAD_REQUEST,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Ordered(fault) => fault.status,
            Self::Git(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ForgeError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut body = json!({
            "message": self.to_string(),
            "documentation_url": "https://docs.github.com/rest",
            "status": status.as_u16().to_string(),
        });
        if let Self::Invalid { resource, field, code, message } = &self {
            let mut detail = json!({ "resource": resource, "code": code });
            for (name, value) in [("field", field.map(Value::from)), ("message", message.clone().map(Value::from))] {
                if let Some(value) = value {
                    detail[name] = value;
                }
            }
            body["errors"] = json!([detail]);
        }
        let mut response = (status, Json(body)).into_response();
        if let Self::Ordered(Fault { retry_after: Some(seconds), .. }) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
