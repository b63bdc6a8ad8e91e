//! Tests of template directories, and of the errors for invalid ones.

use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use domain::agent::AgentName;
use domain::ask::{AskPolicy, OnTimeout, Stance};
use proptest::prelude::*;

use super::{AgentTemplate, Agents, McpServer, McpTransport, PermissionMode, TemplateError};

fn write(directory: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::create_dir_all(directory.join(name).parent().unwrap()).unwrap();
        std::fs::write(directory.join(name), text).unwrap();
    }
}

/// The error for an `agent.toml` with this text, without the directory.
fn mistake(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("AGENTS.md", "x"), ("agent.toml", text)]);
    let agents = Agents::load(directory.path()).unwrap();
    let error = agents.check(&agents.entries()[0]).expect_err(text);
    agents.public_message(&error)
}

#[tokio::test]
async fn a_directory_is_a_template_or_its_directories_are() {
    let directory = tempfile::tempdir().unwrap();
    let (path, owned) = (directory.path(), directory.path().to_owned());
    assert!(matches!(Agents::load(path), Err(TemplateError::NoInstructions(_))));
    assert!(matches!(Agents::load(&path.join("nowhere")), Err(TemplateError::NoInstructions(_))));
    write(path, &[("a/AGENTS.md", "I am a."), ("a/agent.toml", ""), (".git/config", ""), ("notes.txt", "")]);
    let agents = Agents::load(path).unwrap();
    assert_eq!((agents.names().as_str(), agents.default_name().as_str()), ("`a`", "a"), "the only one");
    write(path, &[("b/AGENTS.md", "I am b.")]);
    let error = Agents::load(path).unwrap_err().to_string();
    assert!(error.contains("no default") && error.contains("default = true"), "{error}");
    write(path, &[("b/agent.toml", "default = true")]);
    assert_eq!(Agents::load(path).unwrap().default_name().as_str(), "b", "it is marked as the default");
    write(path, &[("a/agent.toml", "default = true")]);
    let error = Agents::load(path).unwrap_err().to_string();
    assert!(error.contains("a/agent.toml") && error.contains("b/agent.toml"), "{error}");
    write(path, &[("a/agent.toml", ""), ("b/agent.toml", ""), ("default/AGENTS.md", "I am it.")]);
    assert_eq!(Agents::load(path).unwrap().default_name().as_str(), "default", "it is called so");

    let told = async |name: Option<&str>| {
        let name = name.map(|name| name.parse().unwrap());
        AgentTemplate::read(owned.clone(), name).await.map(|template| template.system_prompt)
    };
    assert_eq!(told(Some("b")).await.unwrap(), "I am b.");
    assert_eq!(told(None).await.unwrap(), "I am it.");
    let error = told(Some("c")).await.unwrap_err().to_string();
    assert!(error.ends_with("has no agent `c`; there are `a`, `b`, `default`"), "{error}");

    // One directory has a misspelt file; another has an invalid name.
    write(path, &[("c/AGENT.md", "a slip")]);
    let agents = Agents::load(path).unwrap();
    assert!(agents.entries()[2].settings.as_ref().unwrap_err().to_string().contains("c has no AGENTS.md"));
    write(path, &[("Ünder/AGENTS.md", "")]);
    assert!(Agents::load(path).unwrap_err().to_string().contains("letters, digits"));

    // AGENTS.md makes the directory itself the only template, with the name `default`.
    write(path, &[("AGENTS.md", "I am all there is.")]);
    assert_eq!(told(Some("default")).await.unwrap(), "I am all there is.");
    assert_eq!(Agents::load(path).unwrap().entries().len(), 1);
}

#[test]
fn default_is_another_name_of_the_default_agent() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("a/AGENTS.md", "a"), ("b/AGENTS.md", "b"), ("b/agent.toml", "default = true")]);
    let agents = Agents::load(directory.path()).unwrap();
    assert_eq!(agents.find(&AgentName::default()).unwrap().name.as_str(), "b");
    write(directory.path(), &[("default/AGENTS.md", "d")]);
    let agents = Agents::load(directory.path()).unwrap();
    assert_eq!(agents.find(&AgentName::default()).unwrap().name.as_str(), "default", "it is one of its own now");
}

#[test]
fn settings_are_read_and_stay_out_of_the_workspace() {
    let directory = tempfile::tempdir().unwrap();
    let text = r#"
        description = "Reviews"
        model = "known"
        max_turns = 3
        timeout_ms = 1000
        max_cost_usd = 1
        permission_mode = "acceptEdits"
        egress = ["api.acme.test", "*.acme.test:8443"]
        env = ["ACME_TOKEN", "ANTHROPIC_API_KEY"]
        [mcp_servers.notes]
        command = "tools/notes"
        args = ["--read-only"]
        startup_timeout_ms = 5000
        required = true
        [mcp_servers.wiki]
        url = "https://wiki.acme.test/mcp"
        headers = { "X-Team" = "${TEAM}, ${OTHER}" }
    "#;
    write(directory.path(), &[("AGENTS.md", "x"), ("agent.toml", text), ("tools/agent.toml", "kept")]);
    let template = AgentTemplate::load(AgentName::default(), directory.path()).unwrap();
    let settings = &template.settings;
    assert_eq!((settings.max_turns, settings.timeout_ms, settings.max_cost_usd), (Some(3), Some(1000), Some(1.0)));
    assert_eq!((settings.permission_mode, settings.egress.len()), (PermissionMode::AcceptEdits, 2));
    assert_eq!(settings.env, ["ACME_TOKEN", "ANTHROPIC_API_KEY"]);
    let transport = McpTransport::Stdio { command: "tools/notes".into(), args: vec!["--read-only".into()] };
    let notes = McpServer { transport, startup_timeout: Duration::from_secs(5), required: true };
    assert_eq!(settings.mcp_servers["notes"], notes);
    let wiki = &settings.mcp_servers["wiki"];
    assert_eq!((wiki.startup_timeout, wiki.required), (Duration::from_secs(30), false), "the defaults");
    let env = [("TEAM".to_owned(), "${TEAM}s ${X}".to_owned())].into();
    // Servers with different limits start one after the other, and each stage contains those before it.
    let stages = settings.mcp_stages(&env);
    let [first, second] = &stages[..] else { panic!("{stages:?}") };
    assert_eq!([first, second].map(|stage| stage.startup_timeout.as_secs()), [5, 30]);
    let config = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
    let notes = serde_json::json!({ "type": "stdio", "command": "tools/notes", "args": ["--read-only"] });
    assert_eq!(config(first.servers.get()), serde_json::json!({ "notes": notes }));
    assert_eq!(
        config(second.servers.get()),
        serde_json::json!({
            "notes": notes,
            "wiki": {
                "type": "http",
                "url": "https://wiki.acme.test/mcp",
                "headers": { "X-Team": "${TEAM}s ${X}, ${OTHER}" }
            }
        })
    );
    let mut archive = tar::Archive::new(template.archive.as_ref());
    let paths = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    assert_eq!(paths.collect::<Vec<_>>(), ["AGENTS.md", "tools", "tools/agent.toml"]);
}

#[test]
fn a_table_of_asks_has_the_usual_values_where_it_names_none() {
    let directory = tempfile::tempdir().unwrap();
    let load = |text: &str| {
        write(directory.path(), &[("AGENTS.md", "x"), ("agent.toml", text)]);
        AgentTemplate::load(AgentName::default(), directory.path()).unwrap().settings.asks
    };
    assert_eq!(load("model = \"m\""), None);
    assert_eq!(load("[asks]"), Some(AskPolicy::default()));
    let text = r#"
        [asks]
        tools = "ask"
        allow = ["Read", "Bash(npm test:*)"]
        questions = false
        plans = "allow"
        timeout_ms = 5
        on_timeout = "fail"
        hold_ms = 0
    "#;
    let expected = AskPolicy {
        tools: Stance::Ask,
        allow: ["Read", "Bash(npm test:*)"].map(|rule| rule.parse().unwrap()).into(),
        ask: Vec::new(),
        deny: Vec::new(),
        questions: false,
        plans: Stance::Allow,
        timeout_ms: 5,
        on_timeout: OnTimeout::Fail,
        hold_ms: 0,
    };
    assert_eq!(load(text), Some(expected));
}

/// The entries of a template's archive: path, link target and content.
fn entries(template: &AgentTemplate) -> Vec<(String, String, String)> {
    let mut archive = tar::Archive::new(template.archive.as_ref());
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let shown =
            |path: Option<std::borrow::Cow<'_, Path>>| path.map_or_else(String::new, |path| path.display().to_string());
        let (path, link) = (shown(Some(entry.path().unwrap())), shown(entry.link_name().unwrap()));
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        (path, link, content)
    };
    archive.entries().unwrap().map(read).collect()
}

#[test]
fn a_template_is_what_its_directory_holds_and_nothing_beside_it() {
    let (outside, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(outside.path(), &[("secret", "of the host"), ("more/secret", "of the host")]);
    let path = directory.path();
    write(path, &[("AGENTS.md", "x"), ("tools/run.sh", "run")]);
    let secret = outside.path().join("secret");
    symlink(&secret, path.join("file")).unwrap();
    symlink(outside.path(), path.join("directory")).unwrap();
    symlink("nowhere", path.join("lost")).unwrap();
    symlink("tools/run.sh", path.join("run")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
    let load = || AgentTemplate::load(AgentName::default(), path);
    let template = load().unwrap();
    let entry = |path: &str, link: &Path, content: &str| (path.into(), link.display().to_string(), content.into());
    let none = Path::new("");
    // A link is copied as a link wherever it points, because a sandbox contains nothing of the host.
    let expected = [
        entry("AGENTS.md", none, "x"),
        entry("directory", outside.path(), ""),
        entry("file", &secret, ""),
        entry("lost", Path::new("nowhere"), ""),
        entry("run", Path::new("tools/run.sh"), ""),
        entry("tools", none, ""),
        entry("tools/run.sh", none, "run"),
    ];
    assert_eq!(entries(&template), expected);
    assert!(template.is_same(&load().unwrap()), "equal directories are equal templates");
    write(path, &[("tools/run.sh", "ran")]);
    assert!(!template.is_same(&load().unwrap()), "a change is noticed");

    std::fs::File::create(path.join("tools/model.bin")).unwrap().set_len(super::MAX_TEMPLATE_BYTES).unwrap();
    let error = load().unwrap_err().to_string();
    assert!(error.contains("more than 64 MiB"), "{error}");
}

#[test]
fn a_mistake_is_named_with_its_place_and_what_it_may_be() {
    for (text, place, words) in [
        ("max_turns = 3\nmodle = \"x\"", "agent.toml:2:1: ", &["modle", "did you mean model"][..]),
        ("max_turns = \"3\"", "agent.toml:1:13: ", &["whole number", "text"]),
        ("\n\nmax_turns = 0", "agent.toml:3:13: ", &["max_turns", "from 1 to 1000"]),
        ("timeout_ms = 99999999999", "agent.toml:1:14: ", &["timeout_ms", "86400000"]),
        ("max_cost_usd = -1.0", "agent.toml:1:16: ", &["max_cost_usd", "above 0"]),
        ("permission_mode = \"yolo\"", "agent.toml:1:19: ", &["yolo", "bypassPermissions"]),
        ("egress = [\n  \"a.test\",\n  \"http://\",\n]", "agent.toml:3:3: ", &["egress", "host:port"]),
        ("env = [\"OK\", \"1BAD\"]", "agent.toml:1:14: ", &["env", "1BAD", "letters"]),
        ("env = [\"PATH\"]", "agent.toml:1:8: ", &["env", "PATH", "set by the server"]),
        ("model = \"gpt 5\"", "agent.toml:1:9: ", &["model", "letters", "[1m]"]),
        ("default = tru", "agent.toml:1:11: ", &[]),
        ("[mcp_servers.a]\nargs = [\"x\"]", "agent.toml:1:1: ", &["mcp_servers.a", "command", "url"]),
        ("[mcp_servers.a]\ncommand = \"x\"\nstartup_timeout_ms = 0", "agent.toml:1:1: ", &["mcp_servers.a", "600000"]),
        ("[mcp_servers.a]\ncommand = \"x\"\nrequired = 1", "agent.toml:3:12: ", &["true or false"]),
        ("[mcp_servers.a]\nurl = \"file:///x\"", "agent.toml:1:1: ", &["mcp_servers.a", "http"]),
        ("[mcp_servers.a]\ncommand = \"x\"\nenv = {}", "agent.toml:3:1: ", &["env", "command"]),
        ("[mcp_servers.\"a b\"]\ncommand = \"x\"", "agent.toml:1:1: ", &["a b", "letters"]),
        ("[asks]\ntools = \"alow\"", "agent.toml:2:9: ", &["allow or ask or deny"]),
        ("[asks]\ndenny = []", "agent.toml:2:1: ", &["denny", "did you mean deny"]),
        ("[asks]\ndeny = [\"Bsh(ls)\"]", "agent.toml:2:9: ", &["asks.deny", "did you mean Bash"]),
        ("[asks]\ntimeout_ms = 0", "agent.toml:2:14: ", &["asks.timeout_ms", "from 1 to"]),
        ("[asks]\nhold_ms = 600001", "agent.toml:2:11: ", &["asks.hold_ms", "600000"]),
    ] {
        let said = mistake(text);
        assert!(said.starts_with(place), "{text}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
}

proptest! {
    /// Any text is either parsed or rejected with an error, and nothing panics.
    #[test]
    fn any_text_is_read_or_named(text in "[a-z_ =\"\\[\\]\\.\n0-9é#,{}-]{0,120}") {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &[("AGENTS.md", "x"), ("agent.toml", &text)]);
        if let Err(error) = AgentTemplate::load(AgentName::default(), directory.path()) {
            prop_assert!(error.to_string().contains("agent.toml:"), "{error}");
        }
    }
}
