#!/usr/bin/env bash
# Reads and changes accounts through the Acme API. `acme-cli.sh help` explains it.
set -euo pipefail
shopt -s inherit_errexit # a failed look-up ends the command that needs it

readonly EXIT_REFUSED=1 EXIT_USAGE=2 EXIT_UNREACHABLE=3

usage() {
    cat <<'HELP'
Usage: acme-cli.sh COMMAND

  user USER            id, name, email and plan
  subscription USER    plan, status, calls a month, price
  usage USER           calls used, limit and remaining this month
  upgrade USER PLAN    move to a larger plan: Pro, Scale or Enterprise
  help                 this text

USER is an id such as u_alice or an email address. Prints one JSON object.

Environment: ACME_API_URL (such as http://127.0.0.1:3457), ACME_API_TOKEN; http_proxy is used where set.
Exit status: 1 the API refused, 2 wrong usage or environment, 3 the API could not be reached.
HELP
}

fail() {
    printf 'acme-cli: %s\n' "$2" >&2
    exit "$1"
}

# call METHOD PATH [BODY]: prints the body of a successful answer.
call() {
    local method=$1 path=$2 body=${3-} answer status
    local arguments=(--silent --show-error --max-time 20 --request "$method" --write-out '\n%{http_code}')
    if [[ -n $body ]]; then
        arguments+=(--header 'Content-Type: application/json' --data "$body")
    fi
    # The token goes to curl through a pipe: the arguments of a process are readable for others.
    answer=$(printf 'Authorization: Bearer %s\n' "$ACME_API_TOKEN" |
        curl "${arguments[@]}" --header @- -- "${ACME_API_URL%/}$path" 2>&1) ||
        fail "$EXIT_UNREACHABLE" "the Acme API could not be reached: ${answer%%$'\n'*}"
    status=${answer##*$'\n'}
    answer=${answer%$'\n'*}
    if [[ $status != 2?? ]]; then
        fail "$EXIT_REFUSED" "$(jq -er '.error | strings' <<<"$answer" 2>/dev/null || printf '%s' "$answer") (HTTP $status)"
    fi
    jq . <<<"$answer" 2>/dev/null || fail "$EXIT_REFUSED" "the answer of the Acme API is not JSON"
}

escaped() {
    jq -rn --arg text "$1" '$text | @uri'
}

# The account of USER, looked up by its email where USER is one.
find_user() {
    local user=$1 found
    if [[ $user != *@* ]]; then
        call GET "/users/$(escaped "$user")"
        return
    fi
    found=$(call GET "/users?email=$(escaped "$user")")
    jq -e '.users[0] // empty' <<<"$found" || fail "$EXIT_REFUSED" "There is no user with the email $user."
}

# The path of USER's account.
user_path() {
    local user=$1 id=$1 found
    if [[ $user == *@* ]]; then
        found=$(find_user "$user")
        id=$(jq -r .id <<<"$found")
    fi
    printf '/users/%s' "$(escaped "$id")"
}

expect_arguments() {
    local wanted=$1 got=$2
    if ((got != wanted)); then
        usage >&2
        exit "$EXIT_USAGE"
    fi
}

main() {
    local command=${1-} path
    case $command in
    help | --help | -h)
        usage
        return
        ;;
    user | subscription | usage) expect_arguments 2 $# ;;
    upgrade) expect_arguments 3 $# ;;
    '') expect_arguments 1 $# ;;
    *) fail "$EXIT_USAGE" "there is no command '$command'; try: acme-cli.sh help" ;;
    esac

    local tool
    for tool in curl jq; do
        command -v "$tool" >/dev/null || fail "$EXIT_USAGE" "$tool is not installed"
    done
    [[ -n ${ACME_API_URL-} ]] || fail "$EXIT_USAGE" "ACME_API_URL is not set"
    [[ -n ${ACME_API_TOKEN-} ]] || fail "$EXIT_USAGE" "ACME_API_TOKEN is not set"
    [[ $ACME_API_TOKEN != *[[:cntrl:]]* ]] || fail "$EXIT_USAGE" "ACME_API_TOKEN contains a control character"

    case $command in
    user) find_user "$2" ;;
    subscription | usage)
        path=$(user_path "$2")
        call GET "$path/$command"
        ;;
    upgrade)
        path=$(user_path "$2")
        call POST "$path/upgrade" "$(jq -cn --arg plan "$3" '{plan: $plan}')"
        ;;
    esac
}

main "$@"
