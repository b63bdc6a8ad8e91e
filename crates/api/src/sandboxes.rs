//! `GET /sandboxes`: the running sandboxes and their resource usage.

use std::collections::HashMap;

use api_types::sandbox::{EngineSummary, Pool, Queue, Sandbox, Sandboxes};
use axum::extract::State;
use axum::{Extension, Json};
use domain::access::Visible;
use domain::session::SessionId;
use sandbox::SandboxUsage;

use super::{Api, ApiError};
use crate::access::Caller;

/// Needs a key that sees all sessions.
pub(super) async fn sandboxes(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Sandboxes>, ApiError> {
    match &caller.visible {
        Visible::All => {}
        Visible::Prefix(prefix) => return Err(ApiError::not_for_a_prefix(prefix)),
        Visible::Only(session) => return Err(ApiError::not_for_a_prefix(session.as_str())),
    }
    let overview = api.sandboxes.overview().await.map_err(|error| ApiError::engine(&error))?;
    let owners: HashMap<String, SessionId> = api.store.sandbox_owners().await?.into_iter().collect();
    let sandboxes = overview.sandboxes.iter().map(|sandbox| view(&api, sandbox, owners.get(&sandbox.name))).collect();
    let (capacity, (_, queued)) = (api.capacity.counts(), api.registry.load());
    Ok(Json(Sandboxes {
        engine: EngineSummary {
            version: overview.engine.version.clone(),
            api_version: overview.engine.api_version.clone(),
            cpus: overview.engine.cpus,
            memory_bytes: overview.engine.memory_bytes,
        },
        sandboxes,
        pool: Pool { warm: api.warm.ready(), live: capacity.live, max: capacity.max },
        queue: Queue { waiting_sessions: capacity.waiting, queued_tasks: queued },
    }))
}

fn view(api: &Api, sandbox: &SandboxUsage, owner: Option<&SessionId>) -> Sandbox {
    let state = match owner {
        Some(session) => api.registry.status(session).state,
        None if sandbox.running => "warm",
        None => "starting",
    };
    Sandbox {
        session_id: owner.cloned(),
        state: state.to_owned(),
        started: sandbox.started.clone(),
        memory_bytes: sandbox.usage.memory_bytes,
        memory_limit_bytes: sandbox.usage.memory_limit_bytes,
        cpu_percent: sandbox.cpu_percent,
        processes: sandbox.usage.processes,
    }
}
