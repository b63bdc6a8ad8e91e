//! The server's health, and whether it can run tasks.

use std::sync::Arc;
use std::time::Duration;

use agent_image::{Support, versions};
use api_types::health::{
    Check, ClaudeCode, ClaudeCodeSupport, Health, HealthStatus, ModelCredential, NAME, Readiness, SandboxCounts,
};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::claude_code::Version;
use gateway::{CredentialKind, CredentialState};
use http::header::ALLOW;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sandbox::{LaunchHealth, SandboxHost};
use tokio::time::timeout;

use super::authorize::known_caller;
use super::session::prefix;
use super::shared_check::SharedCheck;
use super::{Api, ApiError, agents};

/// The time for which `GET /ready` waits for the first answer of the program in the image. It usually takes half a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// `OPTIONS` on the paths that a load balancer asks. It answers while the process runs, like `GET /health`.
pub(super) async fn options() -> (StatusCode, [(HeaderName, HeaderValue); 1]) {
    (StatusCode::NO_CONTENT, [(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"))])
}

/// `GET /health` answers while the process runs. With keys, only some callers see the counts.
pub(super) async fn health(State(api): State<Api>, headers: HeaderMap) -> Result<Json<Health>, ApiError> {
    let alive = Health {
        status: HealthStatus::Ok,
        ok: true,
        name: NAME.to_owned(),
        version: None,
        claude_code: None,
        sessions: None,
        tasks: None,
        active_tasks: None,
        running: None,
        sandboxes: None,
        credential: None,
    };
    if known_caller(&api.guard, &headers).is_none() {
        return Ok(Json(alive));
    }
    let (sessions, tasks) = (api.store.session_count().await?, api.store.task_count().await?);
    let (running, queued) = api.registry.load();
    let capacity = api.capacity.counts();
    let sandboxes =
        SandboxCounts { warm: api.warm.ready(), live: capacity.live, waiting: capacity.waiting, max: capacity.max };
    Ok(Json(Health {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        claude_code: api.sandboxes.agent_image_version().map(claude_code),
        sessions: Some(sessions),
        tasks: Some(tasks),
        active_tasks: Some(running + queued),
        running: Some(running),
        sandboxes: Some(sandboxes),
        credential: Some(model_credential(&api.gateway.credential_state())),
        ..alive
    }))
}

/// The checks of `GET /ready` that ask the engine or read the agents' files. Everybody may ask, so all who ask at once share them.
#[derive(Clone, Debug, Default)]
pub struct ReadyChecks(Arc<SharedCheck<[Check; 3]>>);

/// Checks the engine, the image and the agents.
async fn costly_checks(api: &Api) -> [Check; 3] {
    let sandboxes = &api.sandboxes;
    let image = &sandboxes.settings().image;
    let engine = sandboxes.engine().info().await;
    // An engine that hangs gets no further request, because the caller waits for this answer.
    let image = match &engine {
        Err(_) => Err("not known while the engine does not answer".to_owned()),
        Ok(_) => match sandboxes.engine().image(image).await {
            Ok(Some(found)) => with_claude_code(sandboxes, image, &found.id).await,
            Ok(None) => Err(format!("{image} is not there; build it with `claude-runner image build`")),
            Err(error) => Err(error.to_string()),
        },
    };
    let image = check("image", image);
    let engine = check(
        "engine",
        engine.map(|info| format!("{} {}", info.name, info.version)).map_err(|error| error.to_string()),
    );
    [engine, image, check("agents", agents::summary(api).await)]
}

/// `GET /ready` checks everything that a task needs. It answers 503, with the remedy for callers that may see it.
pub(super) async fn ready(State(api): State<Api>, headers: HeaderMap) -> Response {
    let sandboxes = &api.sandboxes;
    let [engine, image, agents] = api.ready.0.get(costly_checks(&api)).await;
    let store = api.store.session_count().await;
    let caller = known_caller(&api.guard, &headers);
    let sees_all = caller.as_ref().is_some_and(|caller| prefix(caller).is_none());
    let store = check("store", store.map(|_| usable(&api.store.damage(), sees_all)).map_err(|error| error.to_string()));
    let credential = api.gateway.credential_state();
    let usable_as = match credential.kind {
        Some(CredentialKind::Scripted) => "none is used: the scripted model answers, not Claude (SCRIPTED)",
        _ => "usable",
    };
    let credential = check("credential", credential.usable.map(|()| usable_as.to_owned()));
    let draining = if api.is_draining() { Err("shutting down".to_owned()) } else { Ok("accepting tasks".to_owned()) };
    let mut checks = vec![engine, image, store, credential, agents, check("server", draining)];
    let network = api.gateway.network();
    if !network.is_direct() {
        checks.push(check("network", Ok(network.to_string())));
    }
    checks.extend(sandboxes.runtime_is_proven().map(|proven| {
        let runtime = sandboxes.settings().runtime.as_deref().unwrap_or_default();
        let outcome = if proven {
            Ok(format!("{runtime} has passed its self-test"))
        } else {
            Err(format!(
                "SANDBOX_RUNTIME {runtime} has not passed its self-test (yet); the log and the next task say why"
            ))
        };
        check("runtime", outcome)
    }));

    checks.push(check("sandbox", launches(sandboxes)));

    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks = caller.map(|_| checks);
    (status, Json(Readiness { ready, checks })).into_response()
}

fn claude_code(version: Version) -> ClaudeCode {
    let support = match versions().support(version) {
        Support::Tested => ClaudeCodeSupport::Tested,
        Support::Untested => ClaudeCodeSupport::Untested,
        Support::TooOld => ClaudeCodeSupport::TooOld,
    };
    ClaudeCode { version: version.to_string(), support }
}

/// Names the Claude Code in an image. The server asks each new image by itself, so this starts no container.
async fn with_claude_code(sandboxes: &SandboxHost, image: &str, id: &str) -> Result<String, String> {
    let version = match timeout(ANSWER_TIMEOUT, sandboxes.reported_claude_code(id)).await {
        Ok(answer) => answer.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("{image} is being asked for its version of Claude Code")),
    };
    let described = versions().describe(version, sandboxes.settings().claude);
    described.map(|with| format!("{image} with {with}")).map_err(|problem| format!("{image} cannot be used: {problem}"))
}

/// Nothing is launched for this answer: a probe at the start, and every launch since, have shown it.
fn launches(sandboxes: &SandboxHost) -> Result<String, String> {
    match sandboxes.launch_health() {
        LaunchHealth::Failing(reason) => Err(format!("sandboxes do not start: {reason}")),
        LaunchHealth::Unknown => Ok("none has been started yet".to_owned()),
        LaunchHealth::Working => match sandboxes.limit_report().map(|report| &report.unlimited) {
            Some(unlimited) if !unlimited.is_empty() => {
                Ok(format!("sandboxes start, without limits of {unlimited}, which ALLOW_UNLIMITED permits"))
            }
            _ => Ok("sandboxes start".to_owned()),
        },
    }
}

fn model_credential(state: &CredentialState) -> ModelCredential {
    match (state.kind, &state.usable) {
        (Some(CredentialKind::ApiKey), _) => ModelCredential::ApiKey,
        (Some(CredentialKind::OAuthToken), _) => ModelCredential::OauthToken,
        (Some(CredentialKind::Login), Ok(())) => ModelCredential::Login,
        (Some(CredentialKind::Login), Err(_)) => ModelCredential::LoginExpired,
        (Some(CredentialKind::Scripted), _) => ModelCredential::Scripted,
        (None, _) => ModelCredential::None,
    }
}

/// A damaged row affects its session only, so the store is usable.
/// The rows name sessions, which a caller with a prefix may not see.
fn usable(damage: &[String], sees_all: bool) -> String {
    match damage.len() {
        0 => "usable".to_owned(),
        _ if sees_all => format!("usable; damaged and skipped: {}", damage.join("; ")),
        rows => format!("usable; {rows} damaged rows are skipped"),
    }
}

fn check(name: &str, outcome: Result<String, String>) -> Check {
    let ok = outcome.is_ok();
    Check { name: name.to_owned(), ok, detail: outcome.unwrap_or_else(|problem| problem) }
}
