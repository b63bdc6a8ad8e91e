#!/usr/bin/env bash
# A tool of the agent's: calls the API that API_URL names, with API_TOKEN where there is one. Both come with a task, as its
# `env`; a host that is named there may be reached. Change it, and put others beside it.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: tools/api.sh COMMAND

  get PATH          prints what the API answers at PATH, such as /users/1
  post PATH JSON    sends JSON there, and prints the answer
  help              this text

Environment: API_URL (such as https://api.example.com), API_TOKEN.
Exit status: 1 the API refused or could not be reached, 2 wrong usage or environment.
HELP
}

fail() {
  printf 'api: %s\n' "$2" >&2
  exit "$1"
}

call() {
  [[ -n ${API_URL-} ]] || fail 2 "API_URL is not set"
  local arguments=(--silent --show-error --fail-with-body --max-time 30 --request "$1")
  if (($# > 2)); then
    arguments+=(--header 'Content-Type: application/json' --data "$3")
  fi
  # By a pipe: the arguments of a process are readable for others.
  printf 'Authorization: Bearer %s\n' "${API_TOKEN-}" |
    curl "${arguments[@]}" --header @- -- "${API_URL%/}$2" || fail 1 "the API refused, or could not be reached"
}

case "${1-help}:$#" in
  help:* | --help:*) usage ;;
  get:2) call GET "$2" ;;
  post:3) call POST "$2" "$3" ;;
  *)
    usage >&2
    exit 2
    ;;
esac
