//! The endpoints of the Acme API.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, Request, State as AppState};
use axum::http::{Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::{Account, Accounts, Plan};
use super::error::AcmeError;

/// The number of recorded calls, far more than a test makes.
pub(super) const MAX_CALLS: usize = 256;

#[derive(Debug)]
pub(super) struct State {
    pub(super) token: String,
    pub(super) accounts: Mutex<Accounts>,
    pub(super) calls: Mutex<VecDeque<String>>,
}

impl State {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/users", get(users))
        .route("/users/{id}", get(user))
        .route("/users/{id}/subscription", get(subscription))
        .route("/users/{id}/usage", get(usage))
        .route("/users/{id}/upgrade", post(upgrade))
        .fallback(|uri: Uri| async move { AcmeError::UnknownPath(uri.path().to_owned()) })
        .method_not_allowed_fallback(|method: Method| async move { AcmeError::WrongMethod(method.to_string()) })
        .layer(from_fn_with_state(Arc::clone(&state), require_token))
        .route("/health", get(|| async { Json(json!({ "status": "ok" })) }))
        .layer(from_fn_with_state(Arc::clone(&state), remember_call))
        .with_state(state)
}

async fn require_token(
    AppState(state): AppState<Arc<State>>,
    request: Request,
    next: Next,
) -> Result<Response, AcmeError> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if sent.and_then(|value| value.strip_prefix("Bearer ")) != Some(state.token.as_str()) {
        return Err(AcmeError::WrongToken);
    }
    Ok(next.run(request).await)
}

async fn remember_call(AppState(state): AppState<Arc<State>>, request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    let response = next.run(request).await;
    let call = format!("{asked} {}", response.status().as_u16());
    tracing::info!("{call}");
    let mut calls = state.calls.lock().unwrap_or_else(PoisonError::into_inner);
    if calls.len() == MAX_CALLS {
        calls.pop_front();
    }
    calls.push_back(call);
    response
}

#[derive(Deserialize)]
struct UserFilter {
    email: Option<String>,
}

async fn users(AppState(state): AppState<Arc<State>>, Query(filter): Query<UserFilter>) -> Json<Value> {
    let accounts = state.accounts();
    let chosen = accounts
        .all()
        .iter()
        .filter(|account| filter.email.as_deref().is_none_or(|email| account.email.eq_ignore_ascii_case(email)));
    Json(json!({ "users": chosen.map(user_body).collect::<Vec<_>>() }))
}

async fn user(AppState(state): AppState<Arc<State>>, Path(id): Path<String>) -> Result<Json<Value>, AcmeError> {
    read(&state, id, user_body)
}

async fn subscription(AppState(state): AppState<Arc<State>>, Path(id): Path<String>) -> Result<Json<Value>, AcmeError> {
    read(&state, id, subscription_body)
}

async fn usage(AppState(state): AppState<Arc<State>>, Path(id): Path<String>) -> Result<Json<Value>, AcmeError> {
    read(&state, id, |account| {
        let limit = account.plan.calls_per_month();
        json!({
            "userId": account.id,
            "period": "this month",
            "used": account.calls_used,
            "limit": limit,
            "remaining": limit.saturating_sub(account.calls_used),
        })
    })
}

#[derive(Deserialize)]
struct Upgrade {
    plan: String,
}

async fn upgrade(
    AppState(state): AppState<Arc<State>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, AcmeError> {
    let Upgrade { plan } = serde_json::from_slice(&body).map_err(|_| AcmeError::MalformedBody)?;
    let wanted = Plan::named(&plan).ok_or(AcmeError::UnknownPlan(plan))?;
    let mut accounts = state.accounts();
    let account = accounts.by_id_mut(&id).ok_or(AcmeError::UnknownUser(id))?;
    let current = account.plan;
    if wanted <= current {
        return Err(AcmeError::NoUpgrade { name: account.name.to_owned(), current, wanted });
    }
    account.plan = wanted;
    let mut answer = subscription_body(account);
    answer["previousPlan"] = json!(current);
    Ok(Json(answer))
}

fn read(state: &State, id: String, body: impl Fn(&Account) -> Value) -> Result<Json<Value>, AcmeError> {
    let accounts = state.accounts();
    let account = accounts.by_id(&id).ok_or(AcmeError::UnknownUser(id))?;
    Ok(Json(body(account)))
}

fn user_body(account: &Account) -> Value {
    json!({ "id": account.id, "name": account.name, "email": account.email, "plan": account.plan })
}

fn subscription_body(account: &Account) -> Value {
    json!({
        "userId": account.id,
        "plan": account.plan,
        "status": "active",
        "callsPerMonth": account.plan.calls_per_month(),
        "dollarsPerMonth": account.plan.dollars_per_month(),
    })
}
