//! Tasks: submitted, shown, aborted.

use std::future::ready;
use std::sync::Arc;

use api_types::ask::Ask;
use api_types::body::TaskBody;
use api_types::parse_word;
use api_types::task::{Aborted, Accepted, Answer, Task};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::session::SessionId;
use domain::task::{TaskId, TaskRecord, TaskStatus, TraceParent};
use failpoint::failpoint;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use sessions::session::{AbortMode, AbortScope, Submission, SubmitError, Until};
use sha2::{Digest, Sha256};
use store::{Answers, IdempotencyKey, StoreError, TaskFilter, TaskPlace};

use super::audit::Subject;
use super::body::RawBody;
use super::events::is_set;
use super::extract::{Path, Query};
use super::paging::Paging;
use super::session::prefix;
use super::submission;
use super::{Api, ApiError, agents, view};
use crate::access::{Caller, CallerShares};
use crate::guarded::Guarded;

/// `POST /task`.
pub(super) async fn submit(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Extension(shares): Extension<CallerShares>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, ApiError> {
    if api.is_draining() {
        return Err(ApiError::shutting_down());
    }
    let task: TaskBody = body.json().await?;
    let webhook = api.webhooks.check(task.webhook.as_deref())?;
    let respond_async = prefers_async(&headers) || task.respond_async == Some(true);
    let agent = agents::of_task(&api, &caller, &task).await?;
    let mut task = submission::check(task, &caller, &api.defaults, &agent.settings)?;
    task.request.trace_parent = trace_parent(&headers);
    if let (false, Some(prefix)) = (caller.sees(&task.session), prefix(&caller)) {
        return Err(ApiError::foreign_session(prefix));
    }
    if let Err(error) = task.session.check_new()
        && api.store.session(&task.session).await?.is_none()
    {
        return Err(submission::invalid_session(error));
    }
    let idempotency = idempotency_key(&caller, &headers, body.sha256()).await?;
    let share = body.into_share();
    let is_repository_task = task.task.is_some();
    let submission = Submission {
        task: task.task,
        agent: agent.name,
        needs: agent.settings.env,
        request: task.request,
        env: task.env,
        idempotency,
        webhook,
    };

    let (id, session) = submit_once(&api, task.session, submission).await?;
    failpoint!("task.accepted");
    // The store has the task's texts now. A caller that waits for the end holds no memory for them.
    drop(share);
    let subject = Subject { session: Some(session.to_string()), task: Some(id.to_string()) };
    let mut response = if respond_async || is_repository_task {
        accepted(&id, &session)
    } else {
        ended(&api, &caller, &shares, &session, &id).await.into_response()
    };
    response.extensions_mut().insert(subject);
    Ok(response)
}

/// Submits a task. A repeated request returns the same task. Returns the task and its session.
async fn submit_once(api: &Api, session: SessionId, submission: Submission) -> Result<(TaskId, SessionId), ApiError> {
    match api.registry.submit(&session, submission).await {
        Ok(accepted) => Ok((accepted.task, session)),
        Err(SubmitError::Store(error)) => match error.as_ref() {
            StoreError::IdempotencyKeyUsed { task: first, same_body: true } => {
                let record = api.store.task_place(first).await?;
                // A repository task's session has the name of the first.
                Ok((first.clone(), record.map_or(session, |record| record.session_id)))
            }
            error => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// `POST /task/:id/retry` submits the same task again. A repository task starts again on its own branch; another task goes to its
/// session again.
pub(super) async fn retry(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Extension(shares): Extension<CallerShares>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // The texts of the task are as large as its body was.
    let _share = shares.reserve(None).await?;
    let before = visible_task(&api, &caller, &id).await?;
    if api.is_draining() {
        return Err(ApiError::shutting_down());
    }
    if !before.status.is_final() {
        return Err(ApiError::not_repeatable("the task has not ended yet"));
    }
    if before.request.message.is_empty() {
        return Err(ApiError::not_repeatable("the task's session was deleted, and its message with it"));
    }
    let mut request = before.request;
    request.key = caller.key.clone();
    request.key_limits = caller.limits.clone();
    request.scripted = api.defaults.scripted;
    request.trace_parent = trace_parent(&headers);
    let (task, session, env) = match &request.repository {
        None => (None, before.session_id, [].into()),
        Some(_) if api.defaults.worker_timeout_ms.is_none() => return Err(ApiError::no_forge()),
        Some(_) => {
            let task = TaskId::generate();
            let session = format!("{}{task}", prefix(&caller).unwrap_or_default());
            let session: SessionId = session.parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
            let first = api.store.session(&before.session_id).await?;
            (Some(task), session, first.map(|session| session.env).unwrap_or_default())
        }
    };
    let webhook = api.store.webhook_target(&before.id).await?;
    let agent = api.registry.describe(&session).await?.map(|session| session.agent).unwrap_or_default();
    if request.repository.is_none() && request.asks.is_none() {
        // The agent may have got rules since the task was submitted.
        let wanted = TaskBody { session_id: Some(session.to_string()), ..TaskBody::default() };
        request.asks = agents::of_task(&api, &caller, &wanted).await?.settings.asks;
    }
    // The path replaces the body, which such a request does not have.
    let digest = Sha256::digest(format!("retry {}", before.id)).into();
    let idempotency = idempotency_key(&caller, &headers, ready(Ok(digest))).await?;
    let submission = Submission { task, agent, request, env, needs: Vec::new(), idempotency, webhook };
    let (id, session) = submit_once(&api, session, submission).await?;
    let mut response = accepted(&id, &session);
    response.extensions_mut().insert(Subject { session: Some(session.to_string()), task: Some(id.to_string()) });
    Ok(response)
}

/// Waits for a task's end and answers with it. While the caller's earlier answers are not read, this one stays in the store.
async fn ended(
    api: &Api,
    caller: &Caller,
    shares: &CallerShares,
    session: &SessionId,
    id: &TaskId,
) -> Result<Response, ApiError> {
    let mut ended = api.registry.wait(session, id, Until::Ask).await?;
    if ended.as_ref().is_some_and(|record| !record.status.is_final()) {
        return waits(api, caller, id).await;
    }
    let turn = if let Some(turn) = shares.answer_now().await {
        turn
    } else {
        ended = None;
        shares.answer().await
    };
    let record = match ended {
        Some(record) => record,
        None => Arc::new(api.store.task(id).await?.ok_or_else(|| ApiError::unknown_task(id.as_str()))?),
    };
    failpoint!("answer.ready");
    Ok(answer(&record).into_response().map(|body| Body::new(Guarded::new(body, turn))))
}

/// The answer to a synchronous caller whose task waits for a person: the record with the open asks.
async fn waits(api: &Api, caller: &Caller, id: &TaskId) -> Result<Response, ApiError> {
    let record = visible_task(api, caller, id.as_str()).await?;
    if record.status.is_final() {
        return answer(&record);
    }
    let task = shown(api, &record).await?;
    let mut response = (StatusCode::ACCEPTED, Json(task)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/task/{id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `GET /task/:id`.
pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Task>, ApiError> {
    let record = visible_task(&api, &caller, &id).await?;
    Ok(Json(shown(&api, &record).await?))
}

/// A task with its charges so far, and with its open asks.
async fn shown(api: &Api, record: &TaskRecord) -> Result<Task, ApiError> {
    let mut shown = view::task(record);
    if record.status == TaskStatus::Running {
        // The answer has the rest of the charges.
        let budgets = api.gateway.budgets();
        shown.cost = Some(budgets.of_task(&record.id).await?.spent.dollars());
    }
    if record.waiting {
        let open = api.store.open_asks_of_task(&record.id).await?;
        shown.asks = Some(open.iter().map(Ask::from).collect());
    }
    Ok(shown)
}

/// The task of a path, where it exists for the caller.
async fn visible_task(api: &Api, caller: &Caller, id: &str) -> Result<TaskRecord, ApiError> {
    let task: TaskId = id.parse().map_err(|_| ApiError::unknown_task(id))?;
    let record = api.store.task(&task).await?;
    record.filter(|record| caller.sees(&record.session_id)).ok_or_else(|| ApiError::unknown_task(id))
}

/// The same without the task's texts.
pub(super) async fn visible_place(api: &Api, caller: &Caller, id: &str) -> Result<TaskPlace, ApiError> {
    let task: TaskId = id.parse().map_err(|_| ApiError::unknown_task(id))?;
    let place = api.store.task_place(&task).await?;
    place.filter(|place| caller.sees(&place.session_id)).ok_or_else(|| ApiError::unknown_task(id))
}

/// The work of a search grows with its text.
const MAX_SEARCH_CHARS: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
    status: Option<String>,
    session_id: Option<String>,
    q: Option<String>,
    full: Option<String>,
}

/// `GET /tasks`: newest first, a page at a time; the next one is in the `Link` header, so that the body stays an array.
pub(super) async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    let paging = Paging::asked(query.limit.as_deref(), query.cursor.as_deref())?;
    let filter = TaskFilter {
        status: query.status.as_deref().map(parse_status).transpose()?,
        session_id: query
            .session_id
            .as_deref()
            .map(SessionId::existing)
            .transpose()
            .map_err(|error| ApiError::invalid(format!("sessionId: {error}")))?,
        session_prefix: prefix(&caller).map(str::to_owned),
        text: query.q.clone(),
    };
    if filter.text.as_ref().is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARS) {
        return Err(ApiError::invalid(format!("q: it must have at most {MAX_SEARCH_CHARS} characters")));
    }
    let answers = match query.full.as_deref() {
        None | Some("0" | "false") => Answers::Short,
        full if is_set(full) => Answers::Whole,
        Some(_) => return Err(ApiError::invalid("full: it must be 1 or 0")),
    };
    let page = api.store.tasks(&filter, answers, paging.cursor, paging.limit).await?;
    let filters = [("status", &query.status), ("sessionId", &query.session_id), ("q", &query.q), ("full", &query.full)];
    Ok(paging.answer("/tasks", &page, |record| view::listed(record, answers), &filters))
}

#[derive(Deserialize)]
pub(super) struct AbortQuery {
    mode: Option<String>,
}

/// `POST /task/:id/abort`: the id is looked up as a task first, then as a session.
pub(super) async fn abort(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<AbortQuery>,
) -> Result<Json<Aborted>, ApiError> {
    let mode = match query.mode.as_deref() {
        None | Some("kill") => AbortMode::Kill,
        Some("interrupt") => AbortMode::Interrupt,
        Some(_) => return Err(ApiError::invalid("mode: it must be kill or interrupt")),
    };
    let session = SessionId::existing(&id).map_err(|error| ApiError::invalid(format!("{error}")))?;
    let task = match id.parse::<TaskId>() {
        Ok(task) => api.store.task_place(&task).await?,
        Err(_) => None,
    };
    let (session, scope, answer) = match task.filter(|record| caller.sees(&record.session_id)) {
        Some(record) => {
            let answer = Aborted { session_id: record.session_id.to_string(), task_id: Some(id), aborted: false };
            (record.session_id, AbortScope::Task(record.id), answer)
        }
        None if !caller.sees(&session) => return Err(ApiError::unknown_session(&id)),
        None => {
            let answer = Aborted { session_id: id, task_id: None, aborted: false };
            if api.store.session_key(&session).await?.is_none() {
                return Ok(Json(answer));
            }
            (session, AbortScope::Session, answer)
        }
    };
    let aborted = api.registry.abort(&session, scope, mode).await?;
    Ok(Json(Aborted { aborted, ..answer }))
}

/// The answer to a synchronous caller: a task that failed never answers 200.
fn answer(record: &TaskRecord) -> Result<Response, ApiError> {
    match (record.status, &record.answer) {
        (TaskStatus::Completed, Some(answer)) => Ok(Json(Answer::from(answer)).into_response()),
        _ => Err(ApiError::task_failed(record)),
    }
}

fn accepted(task: &TaskId, session: &SessionId) -> Response {
    let body = Accepted {
        id: task.clone(),
        task_id: task.clone(),
        session_id: session.clone(),
        status: TaskStatus::Queued.into(),
    };
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/task/{task}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// RFC 7240.
fn prefers_async(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split([',', ';'])).any(|preference| preference.trim() == "respond-async")
}

/// The standard requires ignoring an invalid value.
fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

/// `sha256`: the digest of the request, which is computed only if there is a key.
async fn idempotency_key(
    caller: &Caller,
    headers: &HeaderMap,
    sha256: impl Future<Output = Result<[u8; 32], ApiError>>,
) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let key =
        key.ok_or_else(|| ApiError::invalid("Idempotency-Key: it must have 1 to 255 visible ASCII characters"))?;
    let scope = caller.key.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(Some(IdempotencyKey { key: key.to_owned(), scope, body_sha256: sha256.await? }))
}

fn parse_status(text: &str) -> Result<TaskStatus, ApiError> {
    parse_word(text)
        .ok_or_else(|| ApiError::invalid("status: it must be queued, running, completed, failed or aborted"))
}
