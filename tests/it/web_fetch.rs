//! The agent's own tool for pages.

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::bounds::within;
use crate::server::{Setup, TestServer};

/// Returns true if the agent is offered the tool.
async fn is_offered(server: &TestServer, session: &str) -> bool {
    let mut events = server.subscribe(session).await;
    server.say(session, "say:x").await;
    let init = events.until("init").await;
    init["tools"].as_array().unwrap().contains(&json!("WebFetch"))
}

#[tokio::test]
async fn a_page_is_fetched_through_the_gateway_where_egress_allows_its_host() {
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = host.local_addr().unwrap().port();
    let server = Setup::new().env("EGRESS_ALLOW", format!("host.docker.internal:{port}")).start().await;
    assert!(is_offered(&server, "s").await);
    let fetch = |url: &str| format!("tool:WebFetch {}", json!({ "url": url, "prompt": "say:read" }));
    let accepted = async {
        let (mut connection, _) = host.accept().await.unwrap();
        connection.read_u8().await.unwrap()
    };
    let task = server.enqueue("s", &fetch(&format!("https://host.docker.internal:{port}/page"))).await;
    // A TLS handshake begins with this byte. Earlier, the tool asked its vendor first and gave up.
    assert_eq!(within("the tool connects", accepted).await, 0x16);
    drop(host);
    server.subscribe_since("s", 0).await.until_end_of(&json!(task)).await;

    let refused = server.say("s", &fetch("https://elsewhere.test/")).await;
    assert!(refused.starts_with("done: ") && !refused.contains("Unable to verify"), "{refused}");
    server.finish().await;
}

#[tokio::test]
async fn an_agent_that_can_reach_no_page_is_not_offered_the_tool() {
    let setup =
        Setup::new().agent_file("closed/AGENTS.md", "You work.\n").agent_file("closed/agent.toml", "default = true\n");
    let setup = setup.agent_file("open/AGENTS.md", "You read.\n");
    let server = setup.agent_file("open/agent.toml", "egress = [\"docs.acme.test\"]\n").start().await;
    assert!(!is_offered(&server, "closed").await);
    server.task_with("open", "say:x", &json!({ "agent": "open" })).await.ok();
    assert!(is_offered(&server, "open").await);
    server.finish().await;
}
