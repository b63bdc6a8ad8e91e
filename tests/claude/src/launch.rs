//! The arguments and the environment of the CLI, as in a sandbox. `sandbox::agent` has those of the product; a test compares
//! the two.

use std::ffi::OsString;

/// Tools that a sandbox does not offer: they start turns of their own, or ask a person.
pub(crate) const DISALLOWED_TOOLS: [&str; 6] =
    ["Monitor", "ScheduleWakeup", "Workflow", "AskUserQuestion", "EnterPlanMode", "ExitPlanMode"];

pub(crate) const MODEL: &str = "claude-sonnet-4-6";

/// Variables of every sandbox that change what the CLI does. Addresses and credentials are not among them.
const ENVIRONMENT: [(&str, &str); 12] = [
    ("IS_SANDBOX", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
    ("CLAUDE_CODE_DISABLE_CRON", "1"),
    ("CLAUDE_CODE_DISABLE_WORKFLOWS", "1"),
    ("CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP", "1"),
    ("CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK", "1"),
    ("CLAUDE_CODE_NO_MODEL_FALLBACK", "1"),
    ("CLAUDE_CODE_DISABLE_TERMINAL_TITLE", "1"),
    ("CLAUDE_CODE_ENABLE_PROMPT_SUGGESTION", "0"),
    ("MCP_PROTOCOL_NEGOTIATION", "legacy"),
];

/// The differences of one process from the agent of a sandbox.
#[derive(Clone)]
pub(crate) struct Launch {
    resume: Option<String>,
    permission_mode: &'static str,
    disallowed: Vec<&'static str>,
    model: &'static str,
    more: Vec<String>,
    changed: Vec<(String, Option<String>)>,
}

impl Launch {
    pub(crate) fn new() -> Self {
        Launch {
            resume: None,
            permission_mode: "bypassPermissions",
            disallowed: DISALLOWED_TOOLS.to_vec(),
            model: MODEL,
            more: Vec::new(),
            changed: Vec::new(),
        }
    }

    pub(crate) fn resume(mut self, conversation: &str) -> Self {
        self.resume = Some(conversation.to_owned());
        self
    }

    /// Asks for the permission of every tool call that changes something.
    pub(crate) fn asking(mut self) -> Self {
        self.permission_mode = "default";
        self
    }

    pub(crate) fn offering(mut self, tool: &str) -> Self {
        self.disallowed.retain(|name| *name != tool);
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.more.push(argument.to_owned());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.changed.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.changed.push((name.to_owned(), None));
        self
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "-p",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
            "--replay-user-messages",
            "--permission-mode",
            self.permission_mode,
            "--permission-prompt-tool",
            "stdio",
            "--system-prompt-snapshot",
            "off",
            "--disallowedTools",
            &self.disallowed.join(","),
            "--model",
            self.model,
        ]
        .map(str::to_owned)
        .into();
        if let Some(conversation) = &self.resume {
            arguments.extend(["--resume".to_owned(), conversation.clone()]);
        }
        arguments.extend(self.more.iter().cloned());
        arguments
    }

    /// The complete environment for a home, a model API and its key.
    pub(crate) fn environment(&self, home: &str, api: &str, path: OsString) -> Vec<(String, OsString)> {
        let mut environment: Vec<(String, OsString)> = vec![
            ("HOME".to_owned(), home.into()),
            ("USER".to_owned(), "agent".into()),
            ("SHELL".to_owned(), "/bin/bash".into()),
            ("LANG".to_owned(), "C.UTF-8".into()),
            ("PATH".to_owned(), path),
            ("ANTHROPIC_BASE_URL".to_owned(), api.into()),
            ("ANTHROPIC_API_KEY".to_owned(), mock_api::scripted_model::DEFAULT_KEY.into()),
        ];
        environment.extend(ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.into())));
        // A proxy that answers nothing: no model request may go through it.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            environment.push((name.to_owned(), "http://127.0.0.1:9".into()));
        }
        for name in ["NO_PROXY", "no_proxy"] {
            environment.push((name.to_owned(), "127.0.0.1,localhost".into()));
        }
        for (name, value) in &self.changed {
            environment.retain(|(known, _)| known != name);
            environment.extend(value.iter().map(|value| (name.clone(), value.into())));
        }
        environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCT: &str = include_str!("../../../crates/sandbox/src/agent.rs");
    const MANAGED: &str = include_str!("../../../docker/managed-settings.json");

    /// The rules of a repository task, which extend the CLI's own prompt.
    const OPTIONAL: [&str; 1] = ["--append-system-prompt"];

    fn strings(source: &str) -> impl Iterator<Item = &str> {
        source.split('"').skip(1).step_by(2)
    }

    #[test]
    fn every_argument_and_variable_of_a_sandbox_is_tested() {
        let launch = Launch::new().resume("id");
        let arguments = launch.arguments();
        let environment = launch.environment("/home", "http://127.0.0.1:1", OsString::new());
        let product = PRODUCT.split("#[cfg(test)]").next().unwrap();
        for text in DISALLOWED_TOOLS.iter().chain(ENVIRONMENT.iter().flat_map(|(name, value)| [name, value])) {
            assert!(strings(product).any(|known| known == *text), "{text} is not in a sandbox");
        }
        for text in strings(product) {
            if text.starts_with("--") && !OPTIONAL.contains(&text) {
                assert!(arguments.iter().any(|argument| argument == text), "{text} is not among the arguments");
            }
            if ["CLAUDE_CODE_", "DISABLE_", "MCP_"].iter().any(|prefix| text.starts_with(prefix)) {
                assert!(environment.iter().any(|(name, _)| name == text), "{text} is not in the environment");
            }
        }
    }

    #[test]
    fn every_managed_variable_is_tested() {
        let managed: serde_json::Value = serde_json::from_str(MANAGED).unwrap();
        for (name, value) in managed["env"].as_object().unwrap() {
            if name == "ANTHROPIC_BASE_URL" {
                continue;
            }
            let known = ENVIRONMENT.iter().find(|(known, _)| known == name);
            assert_eq!(known.map(|(_, value)| *value), value.as_str(), "{name}");
        }
    }
}
