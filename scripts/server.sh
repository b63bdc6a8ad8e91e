# shellcheck shell=bash
# Starts a server with a scripted model on free ports. Source this file after lib.sh; do not run it.

# Far more time than a start takes.
START_SECONDS=60

PIDS=()
PLACE=''
RUNNER_URL=''

# start_server: builds and starts both and sets RUNNER_URL. When the script ends, both are stopped and their data is removed.
start_server() {
  cargo build --locked -p coordinator -p mock-api "${FEATURES[@]}" --bins
  # The path must be short, because a socket's path has at most 107 bytes.
  PLACE="$(mktemp -d /tmp/cr-XXXXXX)"
  trap stop_server EXIT
  # An empty variable differs from an unset one.
  unset CLAUDE_CODE_OAUTH_TOKEN
  start scripted-model --port 0
  local model address
  model="$(seen scripted-model 's|.*listens on (http://127\.0\.0\.1:[0-9]+).*|\1|p')"
  ANTHROPIC_BASE_URL="$model" ANTHROPIC_API_KEY=sk-ant-scripted API_KEYS='' HOST=127.0.0.1 \
    PORT=0 DATA_DIR="$PLACE/data" RUNTIME_DIR="$PLACE/run" AGENT_DIR="$ROOT/agent" DRAIN_TIMEOUT_MS=1000 \
    CORS_ORIGINS='' ALLOWED_HOSTS='' start claude-runner serve
  address="$(seen claude-runner 's|.*listening address=([0-9.:]+).*|\1|p')"
  RUNNER_URL="http://$address"
  export RUNNER_URL
}

# start PROGRAM ARGUMENT...: starts it in the background, in a directory without a .env.
start() {
  : >"$PLACE/$1.log"
  (cd "$PLACE" && NO_COLOR=1 exec "$TARGET_DIR/debug/$1" "${@:2}" >>"$PLACE/$1.log" 2>&1 </dev/null) &
  PIDS+=("$!")
}

# seen PROGRAM EXPRESSION: waits until the sed expression finds something in the log, and prints it.
seen() {
  local deadline=$((SECONDS + START_SECONDS)) found=''
  while true; do
    found="$(sed -nE "$2" "$PLACE/$1.log" | head -n 1)"
    if [[ -n "$found" ]]; then break; fi
    ((SECONDS < deadline)) || fail "$1 did not start; its log says:" "$(tail -n 5 "$PLACE/$1.log")"
    sleep 0.05
  done
  printf '%s' "$found"
}

# shellcheck disable=SC2317 # a trap calls it
stop_server() {
  local status=$? i
  # Sessions outlive a server, so delete these.
  if [[ -n "$RUNNER_URL" ]]; then
    curl -fsS --max-time 10 "$RUNNER_URL/sessions" 2>/dev/null | jq -r '.[].sessionId | @uri' | while read -r session; do
      curl -fsS --max-time 30 -X DELETE "$RUNNER_URL/session/$session" >/dev/null || true
    done || true
  fi
  for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do
    kill "${PIDS[i]}" 2>/dev/null || true
    wait "${PIDS[i]}" 2>/dev/null || true
  done
  if ((status)); then tail -n 20 "$PLACE/claude-runner.log" >&2 || true; fi
  rm -rf "$PLACE"
}
