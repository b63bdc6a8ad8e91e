//! Tests the traffic that a sandbox may send, and the traffic that it may not.

use serde_json::json;

use crate::compatibility::acme_api;
use crate::server::{Setup, printed};

#[tokio::test]
async fn only_what_is_allowed_leaves_a_container_without_a_network() {
    let (acme, mut env) = acme_api().await;
    let presets = tempfile::NamedTempFile::new().unwrap();
    let acme_url = env["ACME_API_URL"].as_str().unwrap().to_owned();
    std::fs::write(presets.path(), format!("acme = [\"{acme_url}\"]\nelsewhere = [\"example.com\"]\n")).unwrap();
    // The settings allow everything on the coordinator's host and one of the two presets.
    let setup = Setup::new().env("EGRESS_ALLOW", "host.docker.internal,127.0.0.1,preset:acme");
    let server = setup.env("EGRESS_PRESETS_FILE", presets.path().display().to_string()).start().await;
    env["SELF"] = json!(server.url("").replace("127.0.0.1", "host.docker.internal"));
    env["SELF_BY_ADDRESS"] = json!(server.url(""));

    let more = json!({ "env": env });
    let reached = server.task_with("s", "bash:curl -s $ACME_API_URL/health", &more).await.ok();
    assert_eq!(printed(&reached), json!({ "status": "ok" }), "{reached:#}");
    let calls = acme.calls();
    assert!(calls.iter().any(|call| call.contains("/health")), "{calls:?}");

    // A preset needs no `env`.
    let preset = server.task("preset", &format!("bash:curl -s {acme_url}/health")).await.ok();
    assert_eq!(printed(&preset), json!({ "status": "ok" }), "{preset:#}");

    let refused = server.task("s", "bash:curl -s -w '%{stderr}%{http_code}' http://example.com/").await.ok();
    assert_eq!(printed(&refused)["code"], "egress_refused", "{refused:#}");
    let refused = printed(&refused)["error"].as_str().unwrap().to_owned();
    assert!(refused.contains("example.com") && refused.contains("EGRESS_ALLOW"), "{refused}");
    let tunnel = server.say("s", "bash:curl -s -o /dev/null -w '%{http_connect}' https://example.com/; true").await;
    assert_eq!(tunnel, "done: 403");
    // Clouds serve credentials at this link-local address.
    let metadata = server.task("s", "bash:curl -s http://169.254.169.254/latest/meta-data/").await.ok();
    assert_eq!(printed(&metadata)["code"], "egress_refused", "{metadata:#}");

    // The coordinator itself stays blocked, though its setting and the caller allow it.
    for url in ["$SELF", "$SELF_BY_ADDRESS", &format!("http://localhost:{}", server.port())] {
        // The requests must use the proxy. With NO_PROXY they would reach the container's own loopback.
        let answer = server.task("s", &format!("bash:curl -s --noproxy none {url}/health")).await.ok();
        let code = printed(&answer)["code"].as_str().unwrap_or_default().to_owned();
        assert!(["egress_protected", "egress_refused"].contains(&code.as_str()), "{url}: {answer:#}");
    }
    // No other way leads out of the sandbox.
    let without_proxy =
        "bash:curl -s --noproxy '*' --max-time 5 http://1.1.1.1/; echo $?; cat /proc/net/dev | grep -c : ";
    let direct = server.say("s", without_proxy).await;
    assert!(direct.starts_with("done: 7\n") && direct.ends_with("\n1"), "only loopback: {direct}");
    server.finish().await;
}

#[tokio::test]
async fn a_sandbox_on_a_bridge_has_its_link_by_tcp() {
    let server = Setup::new().env("SANDBOX_NETWORK", "bridge").start().await;
    assert_eq!(server.say("s", "say:over the bridge").await, "over the bridge");
    // Files are read over the same port, in the session's own sandbox and then in one for reading.
    let sandbox = server.container().await.id;
    let listed = server.get("/session/s/files").await.ok();
    server.kill_container(&sandbox).await;
    assert_eq!(server.get("/session/s/files").await.ok(), listed);
    assert!(listed.to_string().contains("AGENTS.md"), "{listed:#}");
    assert_eq!(server.say("s", "bash:ls -A ~ | grep -c link-token; true").await, "done: 0");
    server.finish().await;
}
