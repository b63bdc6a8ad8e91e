//! An accepted message is given to another agent only if the agent before cannot have acted on it.

use crate::agent_image::TestImage;

use crate::server::{Setup, TestServer};

/// Ends without output after it recorded the message. It sends a model request first if the message asks for one.
const AGENT: &str = r#"#!/bin/bash
while IFS= read -r line; do
    [ -n "$line" ] || continue
    id=$(jq -r '.request_id // .uuid' <<<"$line")
    case $line in
        *control_request*)
            echo "{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"$id\",\"response\":{}}}"
            continue
            ;;
        *count*)
            echo "{\"type\":\"user\",\"uuid\":\"$id\",\"isReplay\":true,\"session_id\":\"c\",\"parent_tool_use_id\":null,\"message\":{\"role\":\"user\",\"content\":\"x\"}}"
            echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"given $(wc -l </workspace/given)\",\"session_id\":\"c\",\"total_cost_usd\":0}"
            rm /workspace/given
            continue
            ;;
    esac
    echo "$id" >>/workspace/given
    case $line in
        # The gateway refuses this one, so that nothing reaches the model: that it asked is enough.
        *asks*) curl -s -X POST -d '{}' "$ANTHROPIC_BASE_URL/v1/messages" >/dev/null ;;
    esac
    exit 3
done
"#;

#[tokio::test]
async fn a_message_is_given_again_only_where_nothing_can_have_come_of_it() {
    let image = TestImage::with_agent("silent", AGENT, 0o755).await;
    let server = Setup::new().env("DOCKER_IMAGE", &image.name).start().await;

    server.task("s", "end at once").await.problem(502, "exit_code");
    assert_eq!(given(&server).await, "given 2");
    server.task("s", "asks the model, and ends").await.problem(502, "exit_code");
    assert_eq!(given(&server).await, "given 1");
    server.finish().await;
    image.remove().await;
}

/// Returns how many times agents got the message before this one.
async fn given(server: &TestServer) -> String {
    server.say("s", "count").await
}
