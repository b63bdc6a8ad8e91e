//! The body of `POST /task`: read, checked, made into a submission.

use std::collections::BTreeMap;

use agent_template::AgentSettings;
use api_types::body::TaskBody;
use domain::model::check_model_name;
use domain::repository::{RepositoryName, is_branch_name};
use domain::session::{CREDENTIAL_NAMES, InvalidSessionId, MAX_CREDENTIAL_BYTES, SessionId};
use domain::task::{
    MAX_TIMEOUT_MS, MAX_TURNS, MAX_VARIABLE_BYTES, RepositoryRequest, TaskId, TaskRequest, check_variable,
};
use gateway::Gateway;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use serde_json::value::RawValue;
use sessions::session::own_credential;

use super::session::prefix;
use super::{ApiError, asks};
use crate::access::Caller;

/// Defaults of task requests.
#[derive(Clone, Debug)]
pub struct TaskDefaults {
    pub model: String,
    pub max_turns: u32,
    pub timeout_ms: u64,
    /// The default time limit of a repository task's work. `None`: no forge is configured.
    pub worker_timeout_ms: Option<u64>,
    /// The scripted model answers, not Claude.
    pub scripted: bool,
}

/// A checked task.
#[derive(Debug)]
pub(super) struct CheckedTask {
    /// The id that the task must have: that of a repository task, which names its session.
    pub(super) task: Option<TaskId>,
    pub(super) session: SessionId,
    pub(super) request: TaskRequest,
    pub(super) env: BTreeMap<String, SecretString>,
}

/// A repository task is bounded by its time and its money.
const WORKER_TURNS: u32 = 300;
const MAX_RETRY: u32 = 3;
const MAX_METADATA_BYTES: usize = 16 * 1024;

/// The refusal of a session id.
pub(super) fn invalid_session(error: InvalidSessionId) -> ApiError {
    ApiError::invalid(format!("sessionId: {error}"))
}

/// Checks the body of `POST /task`. An error names the member, or the allowed forms. The caller of this function checks
/// [`SessionId::check_new`] if no session has the id.
pub(super) fn check(
    body: TaskBody,
    caller: &Caller,
    defaults: &TaskDefaults,
    agent: &AgentSettings,
) -> Result<CheckedTask, ApiError> {
    let in_repository = [&body.repo, &body.base, &body.branch].into_iter().any(Option::is_some);
    let (task, session, message) = match (body.session_id, body.message, body.prompt) {
        (None, None, Some(prompt)) => {
            let prompt = serde_json::from_str::<String>(prompt.get());
            let prompt = prompt.map_err(|_| ApiError::invalid("prompt: it must be a string"))?;
            let task = TaskId::generate();
            // A key that is limited to a prefix must see this session too.
            let session = format!("{}{task}", prefix(caller).unwrap_or_default());
            (Some(task), session, prompt)
        }
        (None, None, None) if in_repository => return Err(ApiError::invalid("prompt required")),
        (None, Some(_), Some(_)) => {
            return Err(ApiError::invalid("message: a task has a message or a prompt, not both"));
        }
        (Some(_), _, Some(_)) => {
            let sentence = "prompt: a task with a sessionId has a message, and a repository task a prompt and no sessionId: send one of the two forms";
            return Err(ApiError::invalid(sentence));
        }
        (Some(_), _, _) if in_repository => {
            let sentence =
                "repo, base and branch belong to a repository task: send them with a prompt and without sessionId";
            return Err(ApiError::invalid(sentence));
        }
        (Some(session), Some(message), _) => (None, session, message),
        (None, Some(_), None) => return Err(ApiError::invalid("sessionId is missing")),
        (Some(_), None, _) => return Err(ApiError::invalid("message is missing")),
        (None, None, None) => {
            return Err(ApiError::invalid(
                "sessionId and message are missing: a session task is {\"sessionId\", \"message\"}, a repository task {\"prompt\"}",
            ));
        }
    };
    let session = SessionId::existing(&session).map_err(invalid_session)?;
    if message.trim().is_empty() && task.is_some() {
        return Err(ApiError::invalid("prompt required"));
    }
    if message.trim().is_empty() {
        return Err(ApiError::invalid("message: it must not be empty"));
    }
    let env = body.env.unwrap_or_default().0.into_iter().map(|(name, value)| (name, value.into())).collect();
    check_env(&env)?;
    let model = body.model.or_else(|| agent.model.clone()).unwrap_or_else(|| default_model(caller, defaults));
    check_model_name(&model).map_err(|error| ApiError::invalid(format!("model: {error}")))?;
    if let Some(allowed) = &caller.limits.models
        && !Gateway::is_listed(&model, allowed)
    {
        return Err(ApiError::model_not_allowed(&model, allowed));
    }
    let (turns, timeout_ms, repository) = if task.is_some() {
        let timeout_ms = defaults.worker_timeout_ms.ok_or_else(ApiError::no_forge)?;
        (WORKER_TURNS, timeout_ms, Some(repository_request(body.repo, body.base, body.branch)?))
    } else {
        let turns = agent.max_turns.unwrap_or(defaults.max_turns);
        (turns, agent.timeout_ms.unwrap_or(defaults.timeout_ms), None)
    };
    let max_turns = within("maxTurns", body.max_turns.unwrap_or(turns), 1, MAX_TURNS)?;
    let timeout_ms = within("timeoutMs", body.timeout_ms.unwrap_or(timeout_ms), 1, MAX_TIMEOUT_MS)?;
    if body.max_cost_usd.is_some_and(|cost| !(cost > 0.0 && cost.is_finite())) {
        return Err(ApiError::invalid("maxCostUsd: it must be a number of US dollars above 0"));
    }
    let retry = within("retry", body.retry.unwrap_or(0), 0, MAX_RETRY)?;
    if task.is_some() && body.asks.is_some() {
        return Err(ApiError::invalid("asks: a repository task asks nobody, so that it has no such field"));
    }
    let asks = asks::policy(body.asks.as_deref(), agent.asks.clone())?;
    let metadata = body.metadata.as_deref().map(read_metadata).transpose()?;
    let context = body.context.filter(|context| !context.trim().is_empty());
    let request = TaskRequest {
        message,
        context,
        model,
        max_turns,
        timeout_ms,
        max_cost_usd: body.max_cost_usd.or(agent.max_cost_usd),
        retry,
        metadata,
        key: caller.key.clone(),
        key_limits: caller.limits.clone(),
        repository,
        scripted: defaults.scripted,
        // A header sets it.
        trace_parent: None,
        asks,
    };
    Ok(CheckedTask { task, session, request, env })
}

/// MODEL, or the first model of a key that may not use MODEL.
fn default_model(caller: &Caller, defaults: &TaskDefaults) -> String {
    let allowed = caller.limits.models.as_deref().unwrap_or_default();
    let first = allowed.first().filter(|_| !Gateway::is_listed(&defaults.model, allowed));
    first.unwrap_or(&defaults.model).clone()
}

fn repository_request(
    repo: Option<String>,
    base: Option<String>,
    branch: Option<String>,
) -> Result<RepositoryRequest, ApiError> {
    let repo =
        repo.map(|repo| repo.parse::<RepositoryName>().map_err(|error| ApiError::invalid(format!("repo: {error}"))));
    let checked = |field: &str, name: Option<String>| match name {
        Some(name) if !is_branch_name(&name) => Err(ApiError::invalid(format!(
            "{field}: it must be a branch's name, of letters, digits, `-`, `_`, `.`, `+` and `/`"
        ))),
        name => Ok(name),
    };
    Ok(RepositoryRequest { repo: repo.transpose()?, base: checked("base", base)?, branch: checked("branch", branch)? })
}

fn within<T: Copy + PartialOrd + std::fmt::Display>(field: &str, value: T, least: T, most: T) -> Result<T, ApiError> {
    if value < least || value > most {
        return Err(ApiError::invalid(format!("{field}: it must be from {least} to {most}")));
    }
    Ok(value)
}

fn read_metadata(json: &RawValue) -> Result<Value, ApiError> {
    let json = json.get();
    let refused = || ApiError::invalid(format!("metadata: it must be an object of at most {MAX_METADATA_BYTES} bytes"));
    // Checked before parsing, because the values take much more memory than their text.
    if !json.starts_with('{') || least_bytes(json) > MAX_METADATA_BYTES {
        return Err(refused());
    }
    let value: Value = serde_json::from_str(json).map_err(|error| ApiError::invalid(format!("metadata: {error}")))?;
    if value.to_string().len() > MAX_METADATA_BYTES { Err(refused()) } else { Ok(value) }
}

/// Returns at most the length that this JSON has when it is written without blanks and escapes.
fn least_bytes(json: &str) -> usize {
    let (mut rest, mut in_text, mut count) = (json.bytes(), false, 0);
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' if !in_text => continue,
            b'"' => in_text = !in_text,
            b'\\' if rest.next() == Some(b'u') => {
                rest.nth(3);
            }
            _ => {}
        }
        count += 1;
    }
    count
}

/// Refuses names that would change how the agent itself runs.
fn check_env(env: &BTreeMap<String, SecretString>) -> Result<(), ApiError> {
    for (name, value) in env {
        let is_credential = CREDENTIAL_NAMES.contains(&name.as_str());
        if !is_credential {
            check_variable(name).map_err(|problem| ApiError::invalid(format!("env: {problem}")))?;
        }
        let most = if is_credential { MAX_CREDENTIAL_BYTES } else { MAX_VARIABLE_BYTES };
        check_length(&format!("env.{name}"), value, most)?;
        if value.expose_secret().contains('\0') {
            return Err(ApiError::invalid(format!("env: the value of {name} holds a NUL character")));
        }
    }
    if own_credential(env).is_err() {
        let names = CREDENTIAL_NAMES.join(" or ");
        return Err(ApiError::invalid(format!("env: {names} is empty or has characters that no HTTP header may have")));
    }
    Ok(())
}

/// Refuses a secret that is longer than `most` bytes.
pub(super) fn check_length(field: &str, secret: &SecretString, most: usize) -> Result<(), ApiError> {
    match secret.expose_secret().len() {
        length if length > most => {
            Err(ApiError::invalid(format!("{field}: it must have at most {most} bytes, not {length}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::{MAX_METADATA_BYTES, least_bytes, read_metadata};

    fn read(json: String) -> bool {
        read_metadata(&RawValue::from_string(json).unwrap()).is_ok()
    }

    #[test]
    fn metadata_is_measured_as_it_is_stored() {
        let text = |length: usize, piece: &str| format!("{{\"a\":\"{}\"}}", piece.repeat(length));
        let most = MAX_METADATA_BYTES - r#"{"a":""}"#.len();
        assert!(read(text(most, "x")) && !read(text(most + 1, "x")));
        // Escapes and blanks are longer than what they stand for.
        assert!(read(text(most, "\\u0078")) && !read(text(most + 1, "\\u0078")));
        assert!(read(text(most, "x").replace(':', &format!(":{}", " \n".repeat(MAX_METADATA_BYTES)))));
        assert!(!read("[]".to_owned()) && !read("null".to_owned()));
    }

    #[test]
    fn the_least_length_is_never_above_the_real_one() {
        for value in [json!({}), json!({ "a b": ["\\", "\"", "\n", "é", "\u{1}", 1.5, null, { "c": [] }] })] {
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                assert!(least_bytes(&json) <= value.to_string().len(), "{json}");
            }
        }
    }
}
