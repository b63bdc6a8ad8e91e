//! Webhooks: the field of `POST /task`, the list of deliveries, and one more try.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::webhook::{Attempt, Delivery, DeliveryStatus, Target, WebhookId};
use gateway::Outbound;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Change, WebhookFilter};

use super::audit::Subject;
use super::extract::{Path, Query};
use super::paging::Paging;
use super::session::prefix;
use super::{Api, ApiError, view};
use crate::access::Caller;

/// What `webhook` may be, and whether it can be signed without a secret of its own.
pub struct WebhookRules {
    pub outbound: std::sync::Arc<Outbound>,
    pub has_secret: bool,
}

/// A URL, or `{"url", "secret"?}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Url(String),
    Object(FieldObject),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldObject {
    url: String,
    secret: Option<String>,
}

impl WebhookRules {
    /// The field `webhook` of `POST /task`.
    pub(super) fn check(&self, field: Option<Value>) -> Result<Option<Target>, ApiError> {
        let Some(field) = field.filter(|field| !field.is_null()) else { return Ok(None) };
        let invalid = |why: &dyn std::fmt::Display| ApiError::invalid(format!("webhook: {why}"));
        let (url, secret) = match serde_json::from_value(field) {
            Ok(Field::Url(url)) => (url, None),
            Ok(Field::Object(FieldObject { url, secret })) => (url, secret),
            Err(_) => return Err(invalid(&"it must be a URL, or {\"url\", \"secret\"}, both texts")),
        };
        let target = Target::new(&url, secret.as_deref()).map_err(|error| invalid(&error))?;
        self.outbound.check(target.url()).map_err(|error| invalid(&error))?;
        if target.secret().is_none() && !self.has_secret {
            return Err(invalid(
                &"there is no secret to sign it with: send {\"url\", \"secret\"}, or set WEBHOOK_SECRET",
            ));
        }
        Ok(Some(target))
    }
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
    task: Option<String>,
    status: Option<String>,
}

/// `GET /webhooks`: newest first, in pages like `GET /tasks`.
pub(super) async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    let paging = Paging::asked(query.limit.as_deref(), query.cursor.as_deref())?;
    let status = query.status.clone().map(|status| serde_json::from_value::<DeliveryStatus>(json!(status)));
    let task = query.task.as_deref().map(str::parse).transpose();
    let filter = WebhookFilter {
        id: None,
        task: task.map_err(|error| ApiError::invalid(format!("task: {error}")))?,
        status: status.transpose().map_err(|_| ApiError::invalid("status: it must be pending, delivered or failed"))?,
        session_prefix: prefix(&caller).map(str::to_owned),
    };
    let page = api.store.webhooks(&filter, paging.cursor, paging.limit).await?;
    let deliveries = page.items.iter().map(show).collect();
    let filters = [("task", &query.task), ("status", &query.status)];
    Ok(paging.answer("/webhooks", deliveries, page.next, &filters))
}

/// `POST /webhooks/:id/replay`: tried once more, from the beginning of its schedule, under the same id.
pub(super) async fn replay(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
) -> Result<Response, ApiError> {
    let unknown = || ApiError::unknown_webhook(&text);
    let id: WebhookId = text.parse().map_err(|_| unknown())?;
    let filter = WebhookFilter { id: Some(id), ..WebhookFilter::default() };
    let found = api.store.webhooks(&filter, None, 1).await?.items.pop();
    let found = found.filter(|delivery| caller.sees(&delivery.session_id)).ok_or_else(unknown)?;
    api.store.commit(vec![Change::ReplayWebhook(id)]).await?;
    let body = json!({ "id": text, "taskId": found.task, "status": DeliveryStatus::Pending });
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    let subject = Subject { session: Some(found.session_id.to_string()), task: Some(found.task.to_string()) };
    response.extensions_mut().insert(subject);
    Ok(response)
}

fn show(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id.to_string(),
        "taskId": delivery.task,
        "sessionId": delivery.session_id,
        "type": delivery.event,
        "url": delivery.url,
        "status": delivery.status,
        "created": view::time(delivery.created),
        "nextAttempt": delivery.next_attempt.map(view::time),
        "attempts": delivery.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "time": view::time(attempt.time),
        "status": attempt.status,
        "error": attempt.error,
        "durationMs": attempt.duration_ms,
    })
}
