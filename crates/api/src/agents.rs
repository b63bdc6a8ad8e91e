//! Agents: listed, and found for a task.

use agent_template::{AgentSettings, Agents, CheckedAgent, PermissionMode, TemplateError};
use api_types::agent::{self, Agent};
use api_types::body::TaskBody;
use axum::Json;
use axum::extract::State;
use domain::agent::AgentName;
use domain::session::SessionId;
use sessions::session::SubmitError;

use super::{Api, ApiError};
use crate::access::Caller;

/// The agent of a task, as it is now.
pub(super) struct ChosenAgent {
    pub(super) name: AgentName,
    pub(super) settings: AgentSettings,
}

/// `GET /agents`.
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<Agent>>, ApiError> {
    let agents = read(&api).await?;
    let default = agents.default_name().clone();
    let checked = agents.checked().await;
    Ok(Json(checked.iter().map(|agent| view(&api, agent, agent.entry.name == default)).collect()))
}

/// Checks the agents for `GET /ready`. A broken default agent is an error.
pub(super) async fn summary(api: &Api) -> Result<String, String> {
    let agents = read_now(api).await.map_err(|error| domain::error_chain(&error))?;
    let default = agents.default_name().clone();
    let names = agents.names();
    let checked = agents.checked().await;
    let broken = |agent: &CheckedAgent| {
        agent.problem.as_ref().map(|problem| format!("`{}` cannot be used: {problem}", agent.entry.name))
    };
    let mut sentences = vec![names];
    sentences.extend(checked.iter().filter_map(broken));
    sentences.extend(checked.iter().flat_map(|agent| agent.warnings.iter().cloned()));
    let sentence = sentences.join("; ");
    let usable = checked.iter().any(|agent| agent.entry.name == default && agent.problem.is_none());
    if usable { Ok(sentence) } else { Err(sentence) }
}

/// Returns the agent that a task names, else its session's, else the default. The session's worker ensures that a session keeps its
/// agent.
pub(super) async fn of_task(api: &Api, caller: &Caller, task: &TaskBody) -> Result<ChosenAgent, ApiError> {
    let session = task.session_id.as_deref().and_then(|id| SessionId::existing(id).ok());
    // Another check refuses a wrong body.
    let Some(session) = session.filter(|session| caller.sees(session)) else {
        return Ok(ChosenAgent { name: AgentName::default(), settings: AgentSettings::default() });
    };
    let agents = read(api).await?;
    let known = || agents.names();
    let named = match &task.agent {
        Some(name) => {
            let found = name.parse().ok().and_then(|name: AgentName| agents.find(&name));
            let shown: String = name.chars().take(64).collect();
            Some(
                found
                    .ok_or_else(|| ApiError::invalid(format!("agent: there is no {shown:?}; it may be {}", known())))?,
            )
        }
        None => None,
    };
    let current = match api.registry.describe(&session).await? {
        // A template does not apply there.
        Some(session) if session.in_repository && named.is_none() => {
            return Ok(ChosenAgent { name: session.agent, settings: AgentSettings::default() });
        }
        current => current.map(|session| session.agent),
    };
    let missing = || ApiError::agent_unusable(&format!("the session's agent no longer exists; there are {}", known()));
    let (name, entry) = match (current, named) {
        // The session's name of the agent is used, which may be `default`.
        (Some(current), named) => match (agents.find(&current), named) {
            (own, Some(named)) if own.is_none_or(|own| own.name != named.name) => {
                return Err(SubmitError::OtherAgent(current).into());
            }
            (own, _) => (current, own.ok_or_else(missing)?),
        },
        (None, Some(named)) => (named.name.clone(), named),
        (None, None) => {
            let entry = agents.find(agents.default_name()).ok_or_else(missing)?;
            (entry.name.clone(), entry)
        }
    };
    let settings = entry.settings.as_ref().map_err(|error| ApiError::agent_unusable(&agents.public_message(error)))?;
    Ok(ChosenAgent { name, settings: settings.as_ref().clone() })
}

async fn read_now(api: &Api) -> Result<Agents, TemplateError> {
    Agents::read(api.agent_dir.clone()).await
}

async fn read(api: &Api) -> Result<Agents, ApiError> {
    read_now(api).await.map_err(|error| ApiError::agent_unusable(&domain::error_chain(&error)))
}

fn view(api: &Api, agent: &CheckedAgent, is_default: bool) -> Agent {
    let CheckedAgent { entry, problem, warnings } = agent;
    let none = AgentSettings::default();
    let settings = entry.settings.as_ref().map_or(&none, AsRef::as_ref);
    Agent {
        name: entry.name.clone(),
        description: settings.description.clone(),
        default: is_default,
        model: settings.model.as_ref().unwrap_or(&api.defaults.model).clone(),
        max_turns: settings.max_turns.unwrap_or(api.defaults.max_turns),
        timeout_ms: settings.timeout_ms.unwrap_or(api.defaults.timeout_ms),
        max_cost_usd: settings.max_cost_usd,
        permission_mode: permission_mode(settings.permission_mode),
        env: settings.env.clone(),
        mcp_servers: settings.mcp_servers.keys().cloned().collect(),
        error: problem.clone(),
        warnings: warnings.clone(),
    }
}

const fn permission_mode(mode: PermissionMode) -> agent::PermissionMode {
    match mode {
        PermissionMode::BypassPermissions => agent::PermissionMode::BypassPermissions,
        PermissionMode::AcceptEdits => agent::PermissionMode::AcceptEdits,
        PermissionMode::Default => agent::PermissionMode::Default,
        PermissionMode::DontAsk => agent::PermissionMode::DontAsk,
        PermissionMode::Plan => agent::PermissionMode::Plan,
    }
}
