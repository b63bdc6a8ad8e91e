//! The command line and the environment of Claude Code in a sandbox.

use agent_template::AgentSettings;

pub(super) const HOME: &str = "/home/agent";

/// The address at which `sandbox-init` listens and forwards to the gateway.
pub const GATEWAY: &str = "http://127.0.0.1:8787";

/// The program that runs all tasks of a session. It speaks stream-json in both directions.
pub(super) const PROGRAM: &str = "claude";

/// Tools that are taken from the agent, because they start turns of their own, despite the variables below.
const DISALLOWED_TOOLS: [&str; 3] = ["Monitor", "ScheduleWakeup", "Workflow"];

/// Tools that ask a person.
const QUESTION_TOOL: &str = "AskUserQuestion";
const PLAN_TOOLS: [&str; 2] = ["EnterPlanMode", "ExitPlanMode"];

/// What the agent can do besides its work in the sandbox.
#[derive(Clone, Copy)]
pub(super) struct Offers {
    /// An egress rule lets it fetch pages.
    pub(super) pages: bool,
    /// A person may answer its questions.
    pub(super) questions: bool,
    /// A person may approve its plans.
    pub(super) plans: bool,
}

/// The arguments of the CLI. `rules` are appended to the CLI's own system prompt.
pub(super) fn arguments(
    model: &str,
    rules: Option<&str>,
    resume: Option<&str>,
    settings: &AgentSettings,
    offers: Offers,
) -> Vec<String> {
    let mut disallowed = DISALLOWED_TOOLS.to_vec();
    disallowed.extend((!offers.questions).then_some(QUESTION_TOOL));
    disallowed.extend(if offers.plans { &[][..] } else { &PLAN_TOOLS });
    disallowed.extend((!offers.pages).then_some("WebFetch"));
    let mut arguments: Vec<String> = [
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        // The CLI echoes each message when it accepts it, so that a result can be matched to its message.
        "--replay-user-messages",
        // The sandbox is the boundary. Nobody would answer a permission prompt.
        "--permission-mode",
        settings.permission_mode.as_str(),
        // The CLI asks on stdout about commands that it takes for dangerous, even if every tool is allowed. Without a way to ask, it
        // refuses them.
        "--permission-prompt-tool",
        "stdio",
        // The prompt is the template's, also for a conversation that began with an earlier one.
        "--system-prompt-snapshot",
        "off",
        "--disallowedTools",
        &disallowed.join(","),
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

/// The image's list of certificate authorities, with those of CA_FILE.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The agent's complete environment. It contains no secret: the gateway adds the credential outside of the sandbox.
/// `own_authorities`: programs that come with a list of authorities read the image's list too.
pub(super) fn environment(own_authorities: bool) -> Vec<(String, String)> {
    let mut environment = vec![
        ("HOME", HOME),
        ("USER", "agent"),
        ("SHELL", "/bin/bash"),
        ("LANG", "C.UTF-8"),
        ("PATH", "/home/agent/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("ANTHROPIC_BASE_URL", GATEWAY),
        // The CLI requires a value; the gateway replaces it.
        ("ANTHROPIC_API_KEY", "added-by-the-gateway"),
        ("IS_SANDBOX", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        // Without this, the CLI starts turns of its own after a task's result.
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
        ("CLAUDE_CODE_DISABLE_CRON", "1"),
        ("CLAUDE_CODE_DISABLE_WORKFLOWS", "1"),
        // A task that asks for a model is answered by that model or fails.
        ("CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP", "1"),
        ("CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK", "1"),
        ("CLAUDE_CODE_NO_MODEL_FALLBACK", "1"),
        // Nobody reads a title or a suggestion, and each would be a model request.
        ("CLAUDE_CODE_DISABLE_TERMINAL_TITLE", "1"),
        ("CLAUDE_CODE_ENABLE_PROMPT_SUGGESTION", "0"),
        // Otherwise the CLI spends a third of the time limit of an MCP server on a question of a newer protocol.
        ("MCP_PROTOCOL_NEGOTIATION", "legacy"),
    ];
    // Set both spellings: curl reads http_proxy in lower case only, other programs only in upper case.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        environment.push((name, GATEWAY));
    }
    // Without this, the CLI sends its model requests through the proxy.
    for name in ["NO_PROXY", "no_proxy"] {
        environment.push((name, "127.0.0.1,localhost"));
    }
    if own_authorities {
        environment.extend([("NODE_EXTRA_CA_CERTS", AUTHORITIES), ("REQUESTS_CA_BUNDLE", AUTHORITIES)]);
    }
    environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// The managed settings repeat variables of the CLI's start. The two must not diverge.
    #[test]
    fn managed_variables_are_those_of_the_start() {
        const MANAGED: &str = include_str!("../../../docker/managed-settings.json");
        let managed: serde_json::Value = serde_json::from_str(MANAGED).unwrap();
        let managed: BTreeMap<String, String> = serde_json::from_value(managed["env"].clone()).unwrap();
        let started: BTreeMap<_, _> = super::environment(false).into_iter().collect();
        assert!(!managed.is_empty());
        for (name, value) in managed {
            assert_eq!(started.get(&name), Some(&value), "{name}");
        }
    }
}
