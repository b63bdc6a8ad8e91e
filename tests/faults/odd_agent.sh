# Behaves as its message says.
answer() {
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
}
listen
