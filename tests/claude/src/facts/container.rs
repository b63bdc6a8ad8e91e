//! Facts about the root of a container: it runs the CLI as a sandbox does, with the binary and the managed settings mounted.
//! Where no engine answers, or where the engine cannot mount files of this host, they are not tested.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use super::{Fact, Outcome};
use crate::lab::{Lab, PROMPT};
use crate::launch::{DISALLOWED_TOOLS, Launch};
use crate::process::Claude;

pub(super) const FACTS: &[Fact] = &[
    Fact {
        name: "container",
        statement: "it starts without network, root, capabilities and a writable root, and survives that no API answers",
        scripts: "",
        test: |lab| Box::pin(async move { in_container(&lab, "none", container).await }),
    },
    Fact {
        name: "managed_settings",
        statement: "/etc/claude-code/managed-settings.json wins over settings that the agent wrote: tools, hooks, variables",
        scripts: "",
        test: |lab| Box::pin(async move { in_container(&lab, "host", managed_settings).await }),
    },
    Fact {
        name: "prompt_once",
        statement: "`claudeMdExcludes` of the managed settings keeps AGENTS.md of the workspace out of the requests",
        scripts: "",
        test: |lab| Box::pin(async move { in_container(&lab, "host", prompt_once).await }),
    },
];

/// The image whose libraries the CLI uses; the agent image is built from it.
const IMAGE: &str = "debian:bookworm-slim";
const USER: &str = "10001:10001";
const MANAGED: &str = include_str!("../../../../docker/managed-settings.json");

/// A container that can start several processes of the CLI, and that goes away with this value.
struct Container<'a> {
    name: String,
    lab: &'a Lab,
}

async fn in_container<'a>(
    lab: &'a Arc<Lab>,
    network: &str,
    test: impl AsyncFn(&Container<'a>) -> Result<()>,
) -> Result<Outcome> {
    let answers =
        Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).stdin(Stdio::null()).output().await;
    if !answers.is_ok_and(|output| output.status.success()) {
        return Ok(Outcome::Skipped("no container engine answers to `docker version`".to_owned()));
    }
    let container = Container { name: format!("claude-contract-{}", Uuid::new_v4().simple()), lab };
    container.run(network).await?;
    test(&container).await?;
    Ok(Outcome::Held)
}

impl Container<'_> {
    async fn run(&self, network: &str) -> Result<()> {
        let settings = self.lab.home().join("managed-settings.json");
        let mut managed: Value = serde_json::from_str(MANAGED)?;
        // The address of the model is the lab's, not that of a sandbox's link.
        managed["env"]["ANTHROPIC_BASE_URL"] = self.lab.model.url().into();
        managed["claudeMdExcludes"] = json!(["/workspace/AGENTS.md"]);
        std::fs::write(&settings, managed.to_string())?;
        let mounts = [
            format!("{}:/usr/local/bin/claude:ro", self.lab.binary.display()),
            format!("{}:/etc/claude-code/managed-settings.json:ro", settings.display()),
        ];
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--detach", "--name", &self.name, "--network", network, "--user", USER]);
        command.args(["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--init"]);
        for directory in ["/home/agent", "/workspace", "/tmp"] {
            command.args(["--tmpfs", &format!("{directory}:exec,uid=10001,gid=10001,mode=0755")]);
        }
        for mount in &mounts {
            command.args(["--volume", mount]);
        }
        let output = command.args([IMAGE, "sleep", "600"]).stdin(Stdio::null()).output().await?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the container did not start: {}", error.trim());
        Ok(())
    }

    /// Runs a shell command in the workspace.
    async fn shell(&self, script: &str) -> Result<()> {
        let mut command = Command::new("docker");
        command.args(["exec", "--workdir", "/workspace", &self.name, "bash", "-c", script]);
        let output = command.stdin(Stdio::null()).output().await?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    async fn agent(&self, launch: &Launch) -> Result<Claude> {
        let mut command = Command::new("docker");
        command.args(["exec", "--interactive", "--workdir", "/workspace"]);
        let path = "/usr/local/bin:/usr/bin:/bin".into();
        for (name, value) in launch.environment("/home/agent", &self.lab.model.url(), path) {
            command.arg("--env").arg(format!("{name}={}", value.to_string_lossy()));
        }
        command.args([&self.name, "claude"]).args(launch.arguments());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut claude = Claude::spawn(command, &self.lab.recorder)?;
        claude.ask_control(json!({ "subtype": "initialize", "systemPrompt": [PROMPT] })).await?;
        Ok(claude)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let mut remove = std::process::Command::new("docker");
        remove.args(["rm", "--force", &self.name]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // A container that is left over ends by itself after ten minutes.
        remove.status().ok();
    }
}

async fn container(container: &Container<'_>) -> Result<()> {
    let launch = Launch::new().variable("CLAUDE_CODE_MAX_RETRIES", "1");
    let mut claude = container.agent(&launch).await?;
    for _ in 0..2 {
        let result = claude.ask("say:nobody hears").await?;
        ensure!(result["is_error"] == true, "{result}");
    }
    let init = claude.system("init");
    let init = init.first().context("no init")?;
    ensure!(init["permissionMode"] == "bypassPermissions" && init["cwd"] == "/workspace", "{init}");
    Ok(())
}

async fn managed_settings(container: &Container<'_>) -> Result<()> {
    let hook = json!([{ "hooks": [{ "type": "command", "command": "touch /workspace/hooked" }] }]);
    let settings = json!({
        "hooks": { "UserPromptSubmit": hook, "SessionStart": hook, "Stop": hook },
        "allowManagedHooksOnly": false,
        "allowManagedPermissionRulesOnly": false,
        "permissions": { "deny": ["Bash"], "defaultMode": "plan" },
        "env": {
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
            "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "0",
            "CLAUDE_CODE_DISABLE_CRON": "0",
            "OF_THE_AGENT": "yes",
        },
    });
    let write =
        "mkdir -p ~/.claude .claude && tee ~/.claude/settings.json .claude/settings.json .claude/settings.local.json";
    container.shell(&format!("export HOME=/home/agent; {write} <<'END'\n{settings}\nEND")).await?;
    let mut claude = container.agent(&Launch::new()).await?;
    let show = "bash:echo $CLAUDE_CODE_DISABLE_BACKGROUND_TASKS $CLAUDE_CODE_DISABLE_CRON $OF_THE_AGENT; ls";
    let answer = claude.answer(show).await?;
    ensure!(answer.starts_with("done: 1 1 yes"), "the agent's settings won, or were not read: {answer:?}");
    ensure!(!answer.contains("hooked"), "a hook of the agent ran: {answer:?}");
    let init = claude.system("init");
    let tools = init.first().context("no init")?["tools"].to_string();
    let offered: Vec<&str> =
        DISALLOWED_TOOLS.into_iter().filter(|tool| tools.contains(&format!("\"{tool}\""))).collect();
    ensure!(offered.is_empty(), "{offered:?} are offered");
    Ok(())
}

async fn prompt_once(container: &Container<'_>) -> Result<()> {
    container.shell("echo 'The word of the template is amaranth.' > AGENTS.md").await?;
    let mut claude = container.agent(&Launch::new()).await?;
    claude.answer("say:hello").await?;
    let times = container.lab.last_body()?.to_string().matches("amaranth").count();
    ensure!(times == 0, "AGENTS.md is {times} times in the request");
    Ok(())
}
