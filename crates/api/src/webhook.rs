//! Webhooks: the field of `POST /task`, the list of deliveries, and one more try.

use api_types::parse_word;
use api_types::request::{SignedTarget, WebhookUrl};
use api_types::time::Time;
use api_types::webhook::{Attempt, Replayed, Webhook, WebhookStatus};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::webhook::{Delivery, DeliveryStatus, Target, WebhookId};
use gateway::Outbound;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use store::{Change, WebhookFilter};

use super::audit::Subject;
use super::body::words;
use super::extract::{Path, Query};
use super::paging::Paging;
use super::session::prefix;
use super::{Api, ApiError};
use crate::access::Caller;

/// The rules for `webhook`: allowed URLs, and the presence of a default signing secret.
pub struct WebhookRules {
    pub outbound: std::sync::Arc<Outbound>,
    pub has_secret: bool,
}

impl WebhookRules {
    /// The field `webhook` of `POST /task`.
    pub(super) fn check(&self, field: Option<&RawValue>) -> Result<Option<Target>, ApiError> {
        let Some(field) = field.map(RawValue::get) else { return Ok(None) };
        let invalid = |why: &dyn std::fmt::Display| ApiError::invalid(format!("webhook: {why}"));
        let SignedTarget { url: WebhookUrl(url), secret } = given(field).map_err(|error| invalid(&error))?;
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

/// Reads the field as one of its two forms and not as their union, for which serde builds every value of the text.
fn given(field: &str) -> Result<SignedTarget, String> {
    let target = if field.starts_with('"') {
        serde_json::from_str(field).map(|url| SignedTarget { url: WebhookUrl(url), secret: None })
    } else {
        serde_json::from_str(field)
    };
    target.map_err(|error| {
        let words = words(&error);
        let is_of_name = error.to_string().split('`').next().is_some_and(|start| start.ends_with(" field "));
        if is_of_name { words } else { "it must be a URL, or {\"url\", \"secret\"}, both texts".to_owned() }
    })
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
    let status = query.status.as_deref().map(parse_word::<DeliveryStatus>);
    let task = query.task.as_deref().map(str::parse).transpose();
    let filter = WebhookFilter {
        id: None,
        task: task.map_err(|error| ApiError::invalid(format!("task: {error}")))?,
        status: match status {
            Some(None) => return Err(ApiError::invalid("status: it must be pending, delivered or failed")),
            Some(status) => status,
            None => None,
        },
        session_prefix: prefix(&caller).map(str::to_owned),
    };
    let page = api.store.webhooks(&filter, paging.cursor, paging.limit).await?;
    let filters = [("task", &query.task), ("status", &query.status)];
    Ok(paging.answer("/webhooks", &page, show, &filters))
}

/// `POST /webhooks/:id/replay` delivers again, from the beginning of the schedule, under the same id.
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
    let body = Replayed { id: text, task_id: found.task.clone(), status: WebhookStatus::Pending };
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    let subject = Subject { session: Some(found.session_id.to_string()), task: Some(found.task.to_string()) };
    response.extensions_mut().insert(subject);
    Ok(response)
}

fn show(delivery: &Delivery) -> Webhook {
    Webhook {
        id: delivery.id.to_string(),
        task_id: delivery.task.clone(),
        session_id: delivery.session_id.clone(),
        kind: delivery.event.clone(),
        url: delivery.url.clone(),
        status: delivery.status.into(),
        created: delivery.created.into(),
        next_attempt: delivery.next_attempt.map(Time),
        attempts: delivery.attempts.iter().map(attempt).collect(),
    }
}

fn attempt(attempt: &domain::webhook::Attempt) -> Attempt {
    Attempt {
        time: attempt.time.into(),
        status: attempt.status,
        error: attempt.error.clone(),
        duration_ms: attempt.duration_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::given;

    #[test]
    fn an_error_names_the_member_of_the_webhook() {
        let both = "it must be a URL, or {\"url\", \"secret\"}, both texts";
        for (field, sentence) in [
            (r#"{"url": "https://a.example", "secert": "x"}"#, "secert: there is no such field; did you mean secret?"),
            (r#"{"URL": "https://a.example"}"#, "URL: there is no such field; did you mean url?"),
            (r#"{"secret": "x"}"#, "url is missing"),
            (r#"{"url": "https://a.example", "url": "https://b.example"}"#, "url is there twice"),
            (r#"{"url": 5}"#, both),
            ("5", both),
            ("null", both),
        ] {
            assert_eq!(given(field).unwrap_err(), sentence, "{field}");
        }
        assert_eq!(given(r#"{"url": "https://a.example"}"#).unwrap().url.0, "https://a.example");
        assert_eq!(given(r#""https://a.example""#).unwrap().url.0, "https://a.example");
    }
}
