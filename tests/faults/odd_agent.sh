#!/bin/bash
# Speaks as much of Claude Code's stream-json as it takes, and then behaves as its message says.
result='{"type":"result","subtype":"success","is_error":false,"result":"fine","session_id":"c","total_cost_usd":0}'
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
    number=$(sed -E 's/.*stream:([0-9]+).*/\1/;t;s/.*/0/' <<<"$line")
    case $line in
        *garbage*) echo "Segmentation fault, or something like it" ;;
        *bytes*) head -c 100000 /dev/urandom; echo ;;
        *utf8*) printf '{"type":"result","subtype":"success","result":"\xe2\x82\n' ;;
        *half*) printf '{"type":"res'; exit 0 ;;
        *dies*) echo "cannot go on" >&2; exit 3 ;;
        *longline*) head -c 67108864 /dev/zero | tr '\0' x; echo ;;
        *noisegigabyte*) yes "$(head -c 100000 /dev/zero | tr '\0' x)" | head -c 1000000000 ;;
        *gigabyte*)
            # As stream-json allows it, and nothing that would be kept.
            lines=10000
            [[ $line == *tenth* ]] && lines=1000
            text=$(head -c 99900 /dev/zero | tr '\0' x)
            yes '{"type":"stream_event","event":{"type":"ping","text":"'"$text"'"},"session_id":"c","parent_tool_use_id":null,"uuid":"u"}' |
                head -n "$lines"
            echo "$result"
            ;;
        *memory*) exec tail /dev/zero ;;
        *hangs*) echo "$result"; exec sleep infinity ;;
        *stream:*)
            text=$(head -c 950 /dev/zero | tr '\0' x)
            echo "$start"
            yes "${delta/TEXT/$text}" | head -n "$number"
            echo "$stop"
            echo "$result"
            ;;
        *) echo "$result" ;;
    esac
done
