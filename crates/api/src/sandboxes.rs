//! `GET /sandboxes`: what runs now, and what it takes.

use std::collections::HashMap;

use axum::extract::State;
use axum::{Extension, Json};
use domain::access::Visible;
use domain::session::SessionId;
use sandbox::SandboxUsage;
use serde_json::{Value, json};

use super::{Api, ApiError};
use crate::access::Caller;

/// For those who see all sessions.
pub(super) async fn sandboxes(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, ApiError> {
    match &caller.visible {
        Visible::All => {}
        Visible::Prefix(prefix) => return Err(ApiError::not_for_a_prefix(prefix)),
        Visible::Only(session) => return Err(ApiError::not_for_a_prefix(session.as_str())),
    }
    let overview = api.sandboxes.overview().await.map_err(|error| ApiError::engine(&error))?;
    let owners: HashMap<String, SessionId> = api.store.sandbox_owners().await?.into_iter().collect();
    let sandboxes: Vec<Value> =
        overview.sandboxes.iter().map(|sandbox| view(&api, sandbox, owners.get(&sandbox.name))).collect();
    let (capacity, (_, queued)) = (api.capacity.counts(), api.registry.load());
    Ok(Json(json!({
        "engine": {
            "version": overview.engine.version,
            "apiVersion": overview.engine.api_version,
            "cpus": overview.engine.cpus,
            "memoryBytes": overview.engine.memory_bytes,
        },
        "sandboxes": sandboxes,
        "pool": { "warm": api.warm.ready(), "live": capacity.live, "max": capacity.max },
        "queue": { "waitingSessions": capacity.waiting, "queuedTasks": queued },
    })))
}

fn view(api: &Api, sandbox: &SandboxUsage, owner: Option<&SessionId>) -> Value {
    let state = match owner {
        Some(session) => api.registry.status(session).state,
        None if sandbox.running => "warm",
        None => "starting",
    };
    json!({
        "sessionId": owner,
        "state": state,
        "started": sandbox.started,
        "memoryBytes": sandbox.usage.memory_bytes,
        "memoryLimitBytes": sandbox.usage.memory_limit_bytes,
        "cpuPercent": sandbox.cpu_percent,
        "processes": sandbox.usage.processes,
    })
}
