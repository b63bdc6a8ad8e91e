#!/bin/bash
# Speaks as much of Claude Code's stream-json as it takes. A test's agent is written behind this: it says in `answer` what it does
# with a message, which is the `$line`, and then calls `listen`.
if [ "${1:-}" = --version ]; then
    echo "2.1.332 (Claude Code)"
    exit
fi
result='{"type":"result","subtype":"success","is_error":false,"result":"fine","session_id":"c","total_cost_usd":0}'
delta='{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"TEXT"}},"session_id":"c","parent_tool_use_id":null,"uuid":"u"}'
start='{"type":"stream_event","event":{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}},"session_id":"c","parent_tool_use_id":null,"uuid":"u"}'
stop='{"type":"stream_event","event":{"type":"message_stop"},"session_id":"c","parent_tool_use_id":null,"uuid":"u"}'
listen() {
    while IFS= read -r line; do
        id=$(jq -r '.request_id // .uuid' <<<"$line")
        case $line in
            *control_request*)
                echo "{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"$id\",\"response\":{}}}"
                continue
                ;;
        esac
        echo "{\"type\":\"user\",\"uuid\":\"$id\",\"isReplay\":true,\"session_id\":\"c\",\"parent_tool_use_id\":null,\"message\":{\"role\":\"user\",\"content\":\"x\"}}"
        answer
    done
}
