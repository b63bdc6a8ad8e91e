//! Errors of a call, and their conversion to a response.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::accounts::Plan;

/// The text of each variant is the sentence in the response `{"error":"…"}`.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcmeError {
    #[error("The bearer token is missing or wrong. Send it as `Authorization: Bearer TOKEN`.")]
    WrongToken,
    #[error("There is no user with the id `{0}`.")]
    UnknownUser(String),
    #[error("There is nothing at {0}. The API has /users, /users/ID, /users/ID/subscription, /usage and /upgrade.")]
    UnknownPath(String),
    #[error("This path does not take the method {0}.")]
    WrongMethod(String),
    #[error("The body must be JSON such as {{\"plan\":\"Scale\"}}.")]
    MalformedBody,
    #[error("There is no plan `{0}`. The plans are {plans}.", plans = plan_names())]
    UnknownPlan(String),
    #[error("{name} is on the plan {current}, and {wanted} is no upgrade from it.", current = .current.name(), wanted = .wanted.name())]
    NoUpgrade { name: String, current: Plan, wanted: Plan },
}

fn plan_names() -> String {
    Plan::ALL.map(Plan::name).join(", ")
}

impl IntoResponse for AcmeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::UnknownUser(_) | Self::UnknownPath(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::MalformedBody | Self::UnknownPlan(_) => StatusCode::BAD_REQUEST,
            Self::NoUpgrade { .. } => StatusCode::CONFLICT,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
