# Answers `stream:COUNT:BYTES` with so many pieces of text as fast as it can, and `tick` with one every 50 ms for ten minutes.
answer() {
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
    echo "$result"
}
listen
