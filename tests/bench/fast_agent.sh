#!/bin/bash
# Speaks as much of Claude Code's stream-json as it takes, and answers `stream:COUNT:BYTES` with so many pieces of text as fast
# as it can, and `tick` with one every 50 ms for ten minutes.
delta='{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"TEXT"}},"session_id":"c","parent_tool_use_id":null,"uuid":"u"}'
start='{"type":"stream_event","event":{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}},"session_id":"c","parent_tool_use_id":null,"uuid":"u"}'
stop='{"type":"stream_event","event":{"type":"message_stop"},"session_id":"c","parent_tool_use_id":null,"uuid":"u"}'
while IFS= read -r line; do
    id=$(jq -r '.request_id // .uuid' <<<"$line")
    case $line in
        *control_request*)
            echo "{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"$id\",\"response\":{}}}"
            continue
            ;;
    esac
    echo "{\"type\":\"user\",\"uuid\":\"$id\",\"isReplay\":true,\"session_id\":\"c\",\"parent_tool_use_id\":null,\"message\":{\"role\":\"user\",\"content\":\"x\"}}"
    if [[ $line =~ stream:([0-9]+):([0-9]+) ]]; then
        text=$(head -c "${BASH_REMATCH[2]}" /dev/zero | tr '\0' x)
        echo "$start"
        yes "${delta/TEXT/$text}" | head -n "${BASH_REMATCH[1]}"
        echo "$stop"
    fi
    if [[ $line == *'"tick"'* ]]; then
        echo "$start"
        # A pipe that nothing comes from: to wait needs no process.
        exec 3<> <(:)
        for ((tick = 0; tick < 12000; tick++)); do
            echo "$delta"
            read -rt 0.05 -u 3
        done
        echo "$stop"
    fi
    echo '{"type":"result","subtype":"success","is_error":false,"result":"fine","session_id":"c","total_cost_usd":0}'
done
