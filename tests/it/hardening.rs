//! Checks a running sandbox against section 5 of the CIS Docker Benchmark, with the rules of docker-bench-security, and the
//! controls that the agent cannot disable with its own settings. `docs/concepts/sandbox.md` lists the deviations with their
//! reasons.

use engine::Engine as _;
use serde_json::{Value, json};

use crate::engine::EngineApi;
use crate::server::{Setup, TestServer};

enum Verdict {
    Kept,
    /// The sandbox deviates. `docs/concepts/sandbox.md` gives the reason under the rule's number.
    Deviates,
}
use Verdict::{Deviates, Kept};

/// Numbers and names are from version 1.6 of the benchmark. Each check looks at the same state as docker-bench-security.
fn rules(inspected: &Value, processes: &str) -> Vec<(&'static str, &'static str, Verdict, bool)> {
    let host = &inspected["HostConfig"];
    let config = &inspected["Config"];
    let none = |value: &Value| {
        value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    let options: Vec<&str> = host["SecurityOpt"].as_array().unwrap().iter().map(|o| o.as_str().unwrap()).collect();
    let mounts: Vec<(&str, &str, bool)> = inspected["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| {
            let text = |name: &str| mount[name].as_str().unwrap();
            (text("Source"), text("Propagation"), mount["RW"].as_bool().unwrap())
        })
        .collect();
    let volumes = "/volumes/";
    let sensitive = |source: &str| {
        let directories = ["/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"];
        source == "/"
            || directories.iter().any(|sensitive| source == *sensitive || source.starts_with(&format!("{sensitive}/")))
    };
    let no_ports = none(&host["PortBindings"]) && none(&inspected["NetworkSettings"]["Ports"]);
    vec![
        ("5.1", "swarm mode is not needed and not used", Kept, none(&config["Labels"]["com.docker.swarm.service.id"])),
        ("5.2", "an AppArmor profile, where the engine has AppArmor", Deviates, host_profile_is_the_engines(inspected)),
        (
            "5.3",
            "SELinux options, where the engine has SELinux",
            Deviates,
            !options.iter().any(|o| o.starts_with("label")),
        ),
        ("5.4", "no capability but what is needed", Kept, host["CapDrop"] == json!(["ALL"]) && none(&host["CapAdd"])),
        ("5.5", "not privileged", Kept, host["Privileged"] == false),
        (
            "5.6",
            "no sensitive directory of the host, and none of the host writable",
            Kept,
            mounts.iter().all(|(source, _, writable)| !sensitive(source) && (!writable || source.contains(volumes))),
        ),
        ("5.7", "no ssh server", Kept, !processes.contains("sshd")),
        ("5.8", "no privileged port", Kept, no_ports),
        ("5.9", "only needed ports", Kept, no_ports),
        ("5.10", "not the host's network", Kept, host["NetworkMode"] == "none"),
        (
            "5.11",
            "memory is bounded, swap with it",
            Kept,
            host["Memory"].as_i64() > Some(0) && host["Memory"] == host["MemorySwap"],
        ),
        ("5.12", "CPU is bounded", Kept, host["NanoCpus"].as_i64() > Some(0)),
        ("5.13", "the root file system is read-only", Kept, host["ReadonlyRootfs"] == true),
        ("5.14", "ports are bound to one address", Kept, no_ports),
        ("5.15", "no restart without end", Kept, host["RestartPolicy"]["Name"] == "no"),
        ("5.16", "not the host's processes", Kept, host["PidMode"] == ""),
        ("5.17", "not the host's IPC", Kept, host["IpcMode"] == "private"),
        ("5.18", "no device of the host", Kept, none(&host["Devices"]) && none(&host["DeviceRequests"])),
        ("5.19", "ulimits are set", Kept, host["Ulimits"].as_array().is_some_and(|ulimits| ulimits.len() >= 5)),
        ("5.20", "no mount is shared", Kept, mounts.iter().all(|(_, propagation, _)| !propagation.contains("shared"))),
        ("5.21", "not the host's UTS namespace", Kept, host["UTSMode"] == ""),
        (
            "5.22",
            "seccomp is not off",
            Kept,
            options.iter().any(|option| option.starts_with("seccomp={")) && !options.contains(&"seccomp=unconfined"),
        ),
        ("5.23", "no privileged exec", Kept, none(&inspected["ExecIDs"])),
        ("5.24", "no exec as root", Kept, none(&inspected["ExecIDs"]) && config["User"] == "10001:10001"),
        ("5.25", "the engine's own cgroup", Kept, host["CgroupParent"] == "" && host["CgroupnsMode"] == "private"),
        ("5.26", "no new privileges", Kept, options.contains(&"no-new-privileges")),
        ("5.27", "a health check", Deviates, none(&inspected["State"]["Health"])),
        ("5.28", "a pinned image", Deviates, !config["Image"].as_str().unwrap().contains("@sha256:")),
        ("5.29", "processes are bounded", Kept, host["PidsLimit"].as_i64() > Some(0)),
        ("5.30", "not the default bridge", Kept, none(&inspected["NetworkSettings"]["Networks"]["bridge"])),
        ("5.31", "not the host's user namespace by choice", Kept, host["UsernsMode"] == ""),
        ("5.32", "no socket of the engine", Kept, mounts.iter().all(|(source, ..)| !source.contains("docker.sock"))),
    ]
}

/// Checks that the engine's default profile is unchanged: `docker-default` or none.
fn host_profile_is_the_engines(inspected: &Value) -> bool {
    ["", "docker-default"].contains(&inspected["AppArmorProfile"].as_str().unwrap())
}

#[tokio::test]
async fn a_sandbox_keeps_the_rules_for_containers() {
    let server = TestServer::start().await;
    let inside = "bash:cat /proc/*/comm; grep -E '^(Cap(Eff|Prm|Bnd|Inh|Amb)|NoNewPrivs|Seccomp):' /proc/self/status; \
                  ls /dev | tr '\\n' ' '; cat /etc/hostname; ls -A /proc/acpi /sys/firmware | grep -c .; wc -c < /proc/keys; \
                  ulimit -c -n -q -l; grep -E ' /(tmp|run|dev/shm) ' /proc/mounts";
    let seen = server.say("s", inside).await;
    let inspected = EngineApi::new().inspect(server.container().await.id.as_str()).await;

    let reasons = include_str!("../../docs/concepts/sandbox.md");
    let mut broken = Vec::new();
    for (number, name, verdict, holds) in rules(&inspected, &seen) {
        let row = format!("| {number} |");
        match verdict {
            Kept if !holds => broken.push(format!("{number} {name}")),
            Deviates if !holds => broken.push(format!("{number} {name}: it is said to deviate and does not")),
            Deviates if !reasons.contains(&row) => {
                broken.push(format!("{number} {name}: no reason in docs/concepts/sandbox.md"));
            }
            Kept if reasons.contains(&row) => {
                broken.push(format!("{number} {name}: docs/concepts/sandbox.md says it deviates"));
            }
            Kept | Deviates => {}
        }
    }
    assert_eq!(broken, [] as [String; 0], "{inspected:#}\n{seen}");

    // These are the capabilities inside the sandbox, independent of the engine's settings.
    for none in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
        assert!(seen.contains(&format!("{none}:\t0000000000000000")), "{seen}");
    }
    assert!(seen.contains("NoNewPrivs:\t1") && seen.contains("Seccomp:\t2"), "{seen}");
    assert!(seen.contains("fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"), "{seen}");
    assert!(seen.contains(" sandbox\n"), "the host's name: {seen}");
    for mount in
        ["/tmp tmpfs rw,nosuid,nodev,", "/run tmpfs rw,nosuid,nodev,noexec,", "/dev/shm tmpfs rw,nosuid,nodev,noexec,"]
    {
        assert!(seen.contains(mount), "{mount}: {seen}");
    }
    server.finish().await;
}

#[tokio::test]
async fn what_the_agent_writes_into_its_settings_changes_nothing_that_is_managed() {
    let hook =
        |name: &str| json!([{ "hooks": [{ "type": "command", "command": format!("touch /workspace/{name}") }] }]);
    let settings = json!({
        "hooks": { "UserPromptSubmit": hook("hooked"), "SessionStart": hook("hooked"), "Stop": hook("hooked") },
        "disableAllHooks": false,
        "allowManagedHooksOnly": false,
        "allowManagedPermissionRulesOnly": false,
        "permissions": { "deny": ["Bash"], "defaultMode": "plan" },
        "env": {
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
            "DISABLE_AUTOUPDATER": "0",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "0",
            "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "0",
            "CLAUDE_CODE_DISABLE_CRON": "0",
            "OF_THE_AGENT": "yes",
        },
    });
    let server = Setup::new().template_file("wanted.json", settings.to_string(), 0o644).start().await;
    let write = "bash:mkdir -p ~/.claude .claude && tee ~/.claude/settings.json .claude/settings.json \
                 .claude/settings.local.json < wanted.json > /dev/null && echo written";
    assert_eq!(server.say("s", write).await, "done: written");
    let protected = server
        .say("s", "bash:touch /etc/claude-code/x; echo {} > /etc/claude-code/managed-settings.json; mv /etc/claude-code /tmp/; true")
        .await;
    assert_eq!(protected.matches("Read-only file system").count(), 3, "{protected}");

    // The next process reads all settings.
    server.engine.remove_container(&server.container().await.id).await.unwrap();
    let names = [
        "DISABLE_AUTOUPDATER",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
        "CLAUDE_CODE_DISABLE_CRON",
    ];
    let show = names.map(|name| format!("${name}")).join(" ");
    let after = server.say("s", &format!("bash:echo {show} $ANTHROPIC_BASE_URL $OF_THE_AGENT; ls /workspace")).await;
    assert!(
        after.starts_with("done: 1 1 1 1 http://127.0.0.1:8787 yes\n"),
        "its settings were not read, or won: {after}"
    );
    assert!(!after.contains("hooked"), "a hook of the agent's ran: {after}");
    let again = server.say("s", "bash:ls /workspace ~/.claude").await;
    assert!(!again.contains("hooked") && again.contains("settings.json"), "{again}");
    server.finish().await;
}

#[tokio::test]
async fn a_sandbox_sees_no_resolver_and_no_name_of_its_installation() {
    // The server has no RUNTIME_DIR of the test, because its path would be visible.
    let server = Setup::new().env("RUNTIME_DIR", "").start().await;
    assert_eq!(
        server.say("s", "bash:wc -c < /etc/resolv.conf; getent hosts example.com || echo none").await,
        "done: 0\nnone"
    );
    let mounts = server.say("s", "bash:cut -d ' ' -f 4-5 /proc/self/mountinfo").await;
    assert!(mounts.contains(" /workspace") && mounts.contains(" /run/link"), "{mounts}");
    let data = server.directory().join("data");
    let instance = std::fs::read_to_string(data.join("instance")).unwrap();
    let session: String = rusqlite::Connection::open(data.join("claude-runner.db"))
        .unwrap()
        .query_row("SELECT lower(hex(key)) FROM sessions", [], |row| row.get(0))
        .unwrap();
    for name in [&instance, &session, &server.directory().display().to_string()] {
        assert!(!mounts.contains(name.as_str()), "{name} is in {mounts}");
    }
    // Other files that list mounts show the same.
    let everything = server.say("s", "bash:cat /proc/self/mountinfo /proc/mounts /etc/hosts; env").await;
    assert!(!everything.contains(&instance) && !everything.contains(&session), "{everything}");
    server.finish().await;
}
