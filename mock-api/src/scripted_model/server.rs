//! The HTTP server of the scripted model.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, State as AppState};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::answer::Reply;
use super::choose::{Choice, Tries, choose};
use super::conversation::Conversation;
use super::failure::Failure;
use super::invariants::{Breach, Rules, check_conversation, failure};
use super::log::{Credential, Log, RecordedRequest, redacted};
use super::script::Scripts;
use super::sse;

/// The maximum size of a request body: twice the vendor's limit.
const MAX_BODY: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct State {
    pub(super) scripts: Scripts,
    pub(super) rules: RwLock<Rules>,
    pub(super) log: Mutex<Log>,
    pub(super) tries: Mutex<Tries>,
    pub(super) stop: CancellationToken,
}

impl State {
    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rules_mut(&self) -> RwLockWriteGuard<'_, Rules> {
        self.rules.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reset(&self) {
        self.log().clear();
        *self.tries.lock().unwrap_or_else(PoisonError::into_inner) = Tries::default();
    }

    /// Checks a request, chooses its answer and records both.
    fn take(&self, uri: &Uri, headers: &HeaderMap, body: &Bytes, asked: Asked) -> Result<Taken, Failure> {
        let (credential, breaches) = {
            let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
            (rules.credential(headers), rules.check_envelope(headers, body))
        };
        let (conversation, breaches) = read(body, breaches);
        let chosen = match (&conversation, asked) {
            _ if !breaches.is_empty() => Err("broken invariant".to_owned()),
            (Some(_), Asked::TokenCount) | (None, _) => Err("token count".to_owned()),
            (Some(conversation), Asked::Answer) => {
                let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(choose(&self.scripts, conversation, &mut tries))
            }
        };
        let answered_by = chosen.as_ref().map_or_else(Clone::clone, |choice| choice.source.clone());
        let refusal = (!breaches.is_empty()).then(|| failure(&breaches));
        let request = recorded(uri, headers, credential, conversation.as_ref(), answered_by, body.clone());
        tracing::info!(by = request.answered_by, stream = request.stream, "request");
        self.log().add(request, breaches);
        match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(Taken { conversation, choice: chosen.ok(), bytes: body.len() }),
        }
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Answer,
    TokenCount,
}

struct Taken {
    conversation: Option<Conversation>,
    choice: Option<Choice>,
    bytes: usize,
}

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(|| async { "This is the scripted model: POST /v1/messages\n" }))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/__requests", get(requests))
        .route("/__violations", get(violations))
        .route("/__reset", post(reset))
        .fallback(|uri: Uri| async move {
            Failure::new(StatusCode::NOT_FOUND, format!("the scripted model has nothing at {}", uri.path()))
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

async fn messages(
    AppState(state): AppState<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let taken = state.take(&uri, &headers, &body, Asked::Answer)?;
    let (Some(conversation), Some(Choice { answer, .. })) = (taken.conversation, taken.choice) else {
        return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "a request without breach has no answer"));
    };
    if !answer.silence.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(answer.silence) => {}
            () = state.stop.cancelled() => {
                return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the scripted model is stopping"));
            }
        }
    }
    Ok(respond(&answer.outcome?, &conversation, state.stop.clone()))
}

async fn count_tokens(
    AppState(state): AppState<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let taken = state.take(&uri, &headers, &body, Asked::TokenCount)?;
    // Four bytes per token is a sufficient estimate for a client that only needs a number.
    Ok(Json(json!({ "input_tokens": taken.bytes.div_ceil(4) })))
}

#[derive(Deserialize)]
struct RequestList {
    /// `?bodies=1` includes each request's body.
    bodies: Option<u8>,
}

async fn requests(AppState(state): AppState<Arc<State>>, Query(list): Query<RequestList>) -> Json<Value> {
    let (count, requests) = {
        let log = state.log();
        (log.count(), log.requests())
    };
    let with_body = list.bodies.is_some_and(|bodies| bodies > 0);
    let shown = requests.iter().map(|request| {
        let mut shown = json!(request);
        if with_body {
            shown["body"] = serde_json::from_slice(&request.body).unwrap_or_default();
        }
        shown
    });
    Json(json!({ "count": count, "requests": shown.collect::<Vec<_>>() }))
}

async fn violations(AppState(state): AppState<Arc<State>>) -> Json<Value> {
    Json(json!({ "violations": state.log().violations() }))
}

async fn reset(AppState(state): AppState<Arc<State>>) -> StatusCode {
    state.reset();
    StatusCode::NO_CONTENT
}

/// Parses the conversation in a body and appends its violations to `breaches`.
fn read(body: &[u8], mut breaches: Vec<Breach>) -> (Option<Conversation>, Vec<Breach>) {
    match (serde_json::from_slice::<Value>(body), Conversation::parse(body)) {
        (Ok(value), Ok(conversation)) => {
            breaches.extend(check_conversation(&value));
            (Some(conversation), breaches)
        }
        (Err(error), _) | (_, Err(error)) => {
            breaches.push(("body", format!("the body is not a Messages API request: {error}")));
            (None, breaches)
        }
    }
}

fn recorded(
    uri: &Uri,
    headers: &HeaderMap,
    credential: Credential,
    conversation: Option<&Conversation>,
    answered_by: String,
    body: Bytes,
) -> RecordedRequest {
    RecordedRequest {
        number: 0,
        path: uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: redacted(headers),
        credential,
        model: conversation.map_or_else(String::new, |conversation| conversation.model.clone()),
        stream: conversation.is_some_and(|conversation| conversation.stream),
        tools: conversation.map_or(0, |conversation| conversation.tools.len()),
        prompt: conversation.map_or_else(String::new, |conversation| conversation.prompt().to_owned()),
        answered_by,
        body,
    }
}

fn respond(reply: &Reply, conversation: &Conversation, stop: CancellationToken) -> Response {
    let id = format!("msg_{}", Uuid::new_v4().simple());
    let request_id = [("request-id", format!("req_{}", Uuid::new_v4().simple()))];
    if let Some(page) = &reply.page {
        return Html(page.clone()).into_response();
    }
    if !conversation.stream {
        return (request_id, Json(sse::message(reply, &id, &conversation.model))).into_response();
    }
    let frames = sse::frames(reply, &id, &conversation.model);
    let body = sse::body(frames, reply.delta_delay, reply.cut_after).take_until(stop.cancelled_owned());
    let kind = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (request_id, kind, Body::from_stream(body)).into_response()
}
