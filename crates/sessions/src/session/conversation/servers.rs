//! The MCP servers of an agent. They start before the first message of a process, and again when their environment changes. A
//! message waits until the CLI has reported their states.

use std::collections::BTreeMap;
use std::time::Duration;

use agent_template::{AgentSettings, McpServer};
use claude_stream::ControlRequest;
use domain::event::{Event, WarningCode};
use domain::task::{ErrorType, Failure};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::{Conversation, LineContext};

/// The time that the CLI gets to report beyond the time limits of the servers.
const REPORT_GRACE: Duration = Duration::from_secs(30);

/// The beginning of the ids of requests for the states of servers.
const REQUEST: &str = "mcp-status-";

/// The length of a server's own error message that is shown.
const MAX_REASON: usize = 300;

/// A message that waits for the MCP servers.
pub(super) struct WaitingMessage {
    /// The id of the request for their states. It is unique, because the CLI may still answer a request of the previous
    /// coordinator.
    request: String,
    lines: Vec<String>,
    /// The time at which a CLI that has not reported counts as stalled.
    until: Instant,
}

/// A server that the agent cannot use.
#[derive(Debug, PartialEq, Eq)]
struct Unusable {
    name: String,
    reason: String,
    required: bool,
}

impl WaitingMessage {
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

impl Conversation {
    /// Returns true if the servers must start again before the next message, although their environment is the same: a required
    /// one could not be used.
    pub(crate) fn must_restart_servers(&self) -> bool {
        self.required_failed
    }

    /// Sends lines once the servers have been started, with `env` where it changed, and have reported their states. Without servers
    /// they are sent at once.
    pub(super) fn send_with_servers(&mut self, env: Option<&BTreeMap<String, String>>, lines: Vec<String>) {
        let Some(template) = self.template.clone().filter(|template| !template.settings.mcp_servers.is_empty()) else {
            self.outbox.extend(lines);
            return;
        };
        let patience = env.map(|env| self.start_servers(&template.settings, env)).unwrap_or_default();
        let request = format!("{REQUEST}{}", Uuid::new_v4());
        self.outbox.push(ControlRequest::McpStatus.to_line(&request));
        self.waiting = Some(WaitingMessage { request, lines, until: Instant::now() + patience + REPORT_GRACE });
    }

    /// Servers keep the environment that they were started with, so all are restarted. The CLI has one time limit for all servers
    /// that it starts at once, and it keeps those that it already has. Returns the sum of the limits.
    fn start_servers(&mut self, settings: &AgentSettings, env: &BTreeMap<String, String>) -> Duration {
        let Ok(none) = RawValue::from_string("{}".to_owned()) else { return Duration::ZERO };
        self.control(&ControlRequest::SetMcpServers { servers: &none });
        let mut patience = Duration::ZERO;
        for stage in settings.mcp_stages(env) {
            let limit = stage.startup_timeout;
            let limits = BTreeMap::from([("MCP_TIMEOUT".to_owned(), limit.as_millis().to_string())]);
            self.control(&ControlRequest::ApplyFlagSettings { env: &limits });
            self.control(&ControlRequest::SetMcpServers { servers: &stage.servers });
            patience += limit;
        }
        patience
    }

    /// Processes an answer of the CLI. If it has the states of the servers, the waiting message is sent, or its task fails.
    pub(super) fn on_answer(&mut self, request_id: &str, answer: Option<&str>, context: &mut LineContext<'_>) {
        let Some(waiting) = self.waiting.take_if(|waiting| waiting.request == request_id) else { return };
        let servers = self.template.as_ref().map(|template| &template.settings.mcp_servers);
        let unusable = servers.zip(answer).map(|(servers, answer)| find_unusable(servers, answer)).unwrap_or_default();
        self.required_failed = unusable.iter().any(|server| server.required);
        let LineContext { tasks, durable, .. } = context;
        let task = tasks.running().map(|running| running.record.id.clone());
        for server in &unusable {
            warn!(session.id = %durable.id(), server = server.name, server.reason, "an MCP server cannot be used");
            durable.publish(&server.event(), task.as_ref());
        }
        let Some(running) = tasks.running() else { return };
        let required = unusable.iter().find(|server| server.required);
        let failure = match (running.forced_failure(), required) {
            (Some(failure), _) => failure.clone(),
            (None, Some(server)) => server.failure(),
            (None, None) => {
                self.outbox.extend(waiting.lines);
                self.last_output = Instant::now();
                return;
            }
        };
        info!(session.id = %durable.id(), error = failure.error, "the task ends before its message was sent");
        self.end_unsent(failure, context);
    }

    /// The failure of a task whose agent did not report the states of its servers.
    pub(crate) fn servers_hung(&self) -> Option<Failure> {
        self.waiting.as_ref()?;
        let servers = &self.template.as_ref()?.settings.mcp_servers;
        let names = servers.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let error = format!("the agent did not report that its MCP servers started: {names}");
        Some(Failure::new(ErrorType::McpServerFailed, error))
    }
}

impl Unusable {
    fn event(&self) -> Event {
        let goes_on = if self.required { "" } else { "; the task continues without it" };
        Event::Warning {
            code: WarningCode::McpServerFailed,
            message: format!("the MCP server `{}` {}{goes_on}", self.name, self.reason),
            server: Some(self.name.clone()),
        }
    }

    fn failure(&self) -> Failure {
        let error = format!("the MCP server `{}`, which agent.toml requires, {}", self.name, self.reason);
        Failure::new(ErrorType::McpServerFailed, error)
    }
}

/// Reads the answer to a request for the states of servers.
fn find_unusable(servers: &BTreeMap<String, McpServer>, answer: &str) -> Vec<Unusable> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        mcp_servers: Vec<State>,
    }
    #[derive(Deserialize)]
    struct State {
        name: String,
        status: String,
        error: Option<String>,
    }
    let Ok(Answer { mcp_servers: states }) = serde_json::from_str(answer) else { return Vec::new() };
    let mut unusable = Vec::new();
    for (name, server) in servers {
        let reason = match states.iter().find(|state| state.name == *name) {
            Some(state) if state.status == "connected" => continue,
            Some(State { error: Some(error), .. }) if error.contains("timed out") => {
                format!("did not start within {} ms (startup_timeout_ms)", server.startup_timeout.as_millis())
            }
            Some(State { error: Some(error), .. }) => {
                let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
                format!("did not start: {}", error.chars().take(MAX_REASON).collect::<String>())
            }
            Some(State { status, error: None, .. }) => format!("cannot be used: its state is {status:?}"),
            None => "is not known to the agent".to_owned(),
        };
        unusable.push(Unusable { name: name.clone(), reason, required: server.required });
    }
    unusable
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agent_template::{McpServer, McpTransport};

    use super::{Unusable, find_unusable};

    #[test]
    fn a_server_that_is_not_connected_is_named_with_its_reason() {
        let server = |required| McpServer {
            transport: McpTransport::Stdio { command: "x".to_owned(), args: Vec::new() },
            startup_timeout: Duration::from_millis(1500),
            required,
        };
        let servers =
            ["dead", "gone", "login", "ok", "slow"].map(|name| (name.to_owned(), server(name == "slow"))).into();
        let answer = r#"{"mcpServers": [
            {"name": "dead", "status": "failed", "error": "ENOENT:\n no such file"},
            {"name": "login", "status": "needs-auth"},
            {"name": "ok", "status": "connected", "tools": []},
            {"name": "slow", "status": "failed", "error": "Request timed out"}
        ]}"#;
        let expected = [
            ("dead", "did not start: ENOENT: no such file", false),
            ("gone", "is not known to the agent", false),
            ("login", "cannot be used: its state is \"needs-auth\"", false),
            ("slow", "did not start within 1500 ms (startup_timeout_ms)", true),
        ]
        .map(|(name, reason, required)| Unusable {
            name: name.to_owned(),
            reason: reason.to_owned(),
            required,
        });
        assert_eq!(find_unusable(&servers, answer), expected);
        // A version that answers otherwise says nothing about its servers.
        assert_eq!(find_unusable(&servers, r#"{"servers": 1}"#), []);
    }
}
