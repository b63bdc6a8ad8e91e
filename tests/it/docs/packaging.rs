//! compose.yaml, the systemd unit and the workflows refer to existing names and files, and follow the security rules.

use std::collections::BTreeMap;

use super::settings;
use super::sources::{read, root};

/// Variables of .env that compose.yaml itself reads. The server does not know them.
const OF_COMPOSE: [&str; 3] = ["COORDINATOR_IMAGE", "PUBLISH_ADDRESS", "DOCKER_SOCKET"];

/// The container engine's client reads it, not `serve`.
const OF_ENGINE: &str = "DOCKER_HOST";

/// Returns the entries below a key of block-style YAML by name, each with its lines. Panics if the key is missing.
fn entries(text: &str, path: &[&str]) -> BTreeMap<String, String> {
    let mut text = text.to_owned();
    for (depth, key) in path.iter().enumerate() {
        let mut found = split(&text, 2 * depth);
        text = found.remove(*key).unwrap_or_else(|| panic!("there is no {key} of {path:?}"));
    }
    split(&text, 2 * path.len())
}

/// Splits text into its keys at one depth, each with the text inside and below it.
fn split(text: &str, indent: usize) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut last = None;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        if line.len() - line.trim_start().len() == indent
            && let Some((key, rest)) = line.split_once(':')
        {
            let key = key.trim().to_owned();
            found.insert(key.clone(), rest.trim().to_owned());
            last = Some(key);
        } else if let Some(text) = last.as_ref().and_then(|key| found.get_mut(key)) {
            text.push('\n');
            text.push_str(line);
        }
    }
    found
}

/// Returns `NAME` of each `${NAME` in a text.
fn interpolated(text: &str) -> Vec<String> {
    let name =
        |rest: &str| rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap_or_default().to_owned();
    text.split("${").skip(1).map(name).collect()
}

#[test]
fn compose_names_settings_that_there_are() {
    let compose = read("compose.yaml");
    let settings = settings();
    let environment = entries(&compose, &["services", "coordinator", "environment"]);
    assert!(environment.contains_key("HOST") && environment.contains_key("RUNTIME_DIR"), "{environment:?}");
    for name in environment.keys() {
        assert!(settings.contains_key(name) || name == OF_ENGINE, "compose.yaml sets {name}");
    }
    let guide = read("docs/guides/operating.md");
    for name in interpolated(&compose) {
        let ours = OF_COMPOSE.contains(&name.as_str());
        assert!(settings.contains_key(&name) || ours, "compose.yaml reads {name}");
        assert!(!ours || guide.contains(&format!("`{name}`")), "docs/guides/operating.md does not mention {name}");
    }
    // Both files state the defaults.
    assert!(compose.contains(&format!("${{PORT:-{}}}", settings["PORT"])));
    assert!(compose.contains(&format!("${{AGENT_DIR:-{}}}", settings["AGENT_DIR"])));
}

#[test]
fn only_the_coordinator_has_the_engine_and_it_has_no_more() {
    for (service, text) in entries(&read("compose.yaml"), &["services"])
        .into_iter()
        .chain(entries(&read("tests/compose/world.yaml"), &["services"]))
    {
        assert_eq!(text.contains("docker.sock"), service == "coordinator", "{service}");
        assert!(!text.contains("privileged") && !text.contains("network_mode"), "{service}");
    }
    let coordinator = entries(&read("compose.yaml"), &["services", "coordinator"]);
    assert_eq!(coordinator["cap_drop"], "[ALL]");
    assert_eq!(coordinator["security_opt"], r#"["no-new-privileges:true"]"#);
    assert_eq!(coordinator["read_only"], "true");
    assert!(coordinator["ports"].contains("PUBLISH_ADDRESS:-127.0.0.1}"), "it is published to everybody by default");
    // The engine mounts sockets by their path in the coordinator.
    let runtime_dir = &entries(&read("compose.yaml"), &["services", "coordinator", "environment"])["RUNTIME_DIR"];
    assert!(coordinator["volumes"].contains(&format!("- {runtime_dir}:{runtime_dir}\n")), "{runtime_dir}");
}

#[test]
fn who_stops_the_server_waits_for_its_tasks() {
    let drain: u64 = settings()["DRAIN_TIMEOUT_MS"].parse::<u64>().unwrap() / 1000;
    let compose = entries(&read("compose.yaml"), &["services", "coordinator"])["stop_grace_period"].clone();
    let unit = read("packaging/systemd/claude-runner.service");
    let unit = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap().to_owned();
    for wait in [compose.trim_end_matches('s'), unit.as_str()] {
        // After the tasks, connections have 10 s to end.
        assert!(wait.parse::<u64>().unwrap() >= drain + 20, "{wait} s");
    }
}

#[test]
fn the_unit_names_settings_that_there_are() {
    let unit = read("packaging/systemd/claude-runner.service");
    let known = settings();
    let set = unit.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix("Environment="));
    let names: Vec<&str> =
        set.flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('=')).map(|pair| pair.0).collect();
    assert!(names.contains(&"DATA_DIR"), "{names:?}");
    for name in names {
        assert!(known.contains_key(name) || ["HOME", "XDG_CACHE_HOME"].contains(&name), "the unit sets {name}");
    }
}

#[test]
fn workflows_are_pinned_bounded_and_may_do_little() {
    let mut files = 0;
    for file in std::fs::read_dir(root().join(".github/workflows")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let text = read(&format!(".github/workflows/{name}"));
        files += 1;
        let top = split(&text, 0);
        assert_eq!(top["permissions"], "{}", "{name}: what a job may do is said by the job");
        assert!(top.contains_key("concurrency"), "{name}");
        for (job, text) in entries(&text, &["jobs"]) {
            let job_keys = split(&text, 4);
            assert!(job_keys.contains_key("permissions") && job_keys.contains_key("timeout-minutes"), "{name}: {job}");
            assert!(!text.contains("write-all"), "{name}: {job}");
            scripts_take_nothing_in(&text, &format!("{name}: {job}"));
        }
        let uses = text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: "));
        for action in uses {
            assert!(is_pinned(action), "{name}: {action} is not pinned to a version like owner/name@v1.2.3");
        }
        for line in text.lines().filter(|line| line.trim_start().starts_with("registry:")) {
            assert_eq!(line.trim(), "registry: ${{ vars.REGISTRY }}", "{name}");
        }
    }
    assert_eq!(files, 4);
}

/// Returns true for `owner/name@v1.2.3` and for an action of this repository.
fn is_pinned(action: &str) -> bool {
    let Some((_, version)) = action.split_once("@v") else { return action.starts_with("./") };
    let numbers: Vec<&str> = version.split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

/// A script must not contain interpolated text, which would be run. Variables are safe.
#[track_caller]
fn scripts_take_nothing_in(job: &str, place: &str) {
    let mut script = None;
    for line in job.lines() {
        let indent = line.len() - line.trim_start().len();
        let starts = line.trim_start().trim_start_matches("- ").starts_with("run:");
        if script.is_some_and(|at| indent <= at) {
            script = None;
        }
        if starts {
            script = Some(indent);
        }
        assert!(script.is_none() || !line.contains("${{"), "{place}: a script has an expression in it: {line}");
    }
}
