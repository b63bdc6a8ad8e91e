//! How Claude Code is started in a sandbox.

use agent_template::AgentSettings;

pub(super) const HOME: &str = "/home/agent";

/// Where `sandbox-init` listens and pipes to the gateway.
pub const GATEWAY: &str = "http://127.0.0.1:8787";

/// The program that serves all tasks of a session: stream-json on both sides.
pub(super) const PROGRAM: &str = "claude";

/// `rules`: told behind the CLI's own prompt.
pub(super) fn arguments(
    model: &str,
    rules: Option<&str>,
    resume: Option<&str>,
    settings: &AgentSettings,
) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        // Each message comes back when it is taken, so that a result can be matched to it.
        "--replay-user-messages",
        // The sandbox is the boundary; a question would wait for an answer that nobody gives.
        "--permission-mode",
        settings.permission_mode.as_str(),
        // Survives CLAUDE_CODE_DISABLE_CRON and starts turns that nobody asked for.
        "--disallowedTools",
        "ScheduleWakeup",
        "--model",
        model,
    ]
    .map(str::to_owned)
    .into();
    if let Some(rules) = rules {
        arguments.extend(["--append-system-prompt".to_owned(), rules.to_owned()]);
    }
    if let Some(conversation) = resume {
        arguments.extend(["--resume".to_owned(), conversation.to_owned()]);
    }
    arguments
}

/// The agent's whole environment. Nothing of it is secret: the credential is added by the gateway, outside.
pub(super) fn environment() -> Vec<(String, String)> {
    let mut environment = vec![
        ("HOME", HOME),
        ("USER", "agent"),
        ("SHELL", "/bin/bash"),
        ("LANG", "C.UTF-8"),
        ("PATH", "/home/agent/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("ANTHROPIC_BASE_URL", GATEWAY),
        // The CLI wants one; the gateway takes it away.
        ("ANTHROPIC_API_KEY", "added-by-the-gateway"),
        ("IS_SANDBOX", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        // Otherwise the CLI starts turns of its own after a task's result.
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
        ("CLAUDE_CODE_DISABLE_CRON", "1"),
    ];
    // Both cases: curl reads http_proxy in lower case only, other programs only the upper.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        environment.push((name, GATEWAY));
    }
    // Without this the CLI sends its model requests through the proxy.
    for name in ["NO_PROXY", "no_proxy"] {
        environment.push((name, "127.0.0.1,localhost"));
    }
    environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// What is managed is what the CLI is started with anyway; the two must not drift apart.
    #[test]
    fn managed_variables_are_those_of_the_start() {
        const MANAGED: &str = include_str!("../../../docker/managed-settings.json");
        let managed: serde_json::Value = serde_json::from_str(MANAGED).unwrap();
        let managed: BTreeMap<String, String> = serde_json::from_value(managed["env"].clone()).unwrap();
        let started: BTreeMap<_, _> = super::environment().into_iter().collect();
        assert!(!managed.is_empty());
        for (name, value) in managed {
            assert_eq!(started.get(&name), Some(&value), "{name}");
        }
    }
}
