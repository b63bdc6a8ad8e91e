#!/usr/bin/env bash
# ABOUT
set -euo pipefail
shopt -s inherit_errexit # what fails inside a substitution ends the command

readonly PROGRAM='PROGRAM_NAME' URL_VARIABLE='URL_NAME'
readonly EXIT_REFUSED=1 EXIT_USAGE=2 EXIT_UNREACHABLE=3

usage() {
    cat <<'HELP'
HELP_TEXT
HELP
}

fail() {
    printf '%s: %s\n' "$PROGRAM" "$2" >&2
    exit "$1"
}

# What the command line and the environment say of the request.
positional=() headers=() query=() form=() body='{}' body_kind=none
declare -A place_of=() name_of=() given=()

escaped() {
    jq -rn --arg text "$1" '$text | @uri'
}

# variable NAME: fails where it is not set or cannot be sent.
variable() {
    [[ -n ${!1-} ]] || fail "$EXIT_USAGE" "$1 is not set"
    [[ ${!1} != *[[:cntrl:]]* ]] || fail "$EXIT_USAGE" "$1 contains a control character"
}

# The value of a secret is never an argument of a program: those are readable for others.
secret_header() { # 'NAME: ' VARIABLE
    variable "$2"
    headers+=("$1${!2}")
}

secret_pair() { # NAME VARIABLE
    variable "$2"
    jq -rn --arg name "$1" --arg variable "$2" '"\($name | @uri)=\($ENV[$variable] | @uri)"'
}

secret_query() {
    local pair
    pair=$(secret_pair "$@")
    query+=("$pair")
}

secret_form() {
    local pair
    pair=$(secret_pair "$@")
    form+=("$pair")
}

secret_json() { # NAME VARIABLE
    variable "$2"
    body=$(jq -c --arg name "$1" --arg variable "$2" '.[$name] = $ENV[$variable]' <<<"$body")
}

# option --OPTION PLACE NAME: the command takes this option.
option() {
    place_of[$1]=$2
    name_of[$1]=$3
}

# give --OPTION VALUE: it was given.
give() {
    local place=${place_of[$1]-} name=${name_of[$1]-} pair
    case $place in
    query | form)
        pair=$(escaped "$name")=$(escaped "$2")
        if [[ $place == query ]]; then query+=("$pair"); else form+=("$pair"); fi
        ;;
    header)
        [[ $2 != *[[:cntrl:]]* ]] || fail "$EXIT_USAGE" "$1 contains a control character"
        headers+=("$name: $2")
        ;;
    text) body=$(jq -c --arg name "$name" --arg value "$2" '.[$name] = $value' <<<"$body") ;;
    json)
        body=$(jq -c --arg name "$name" --argjson value "$2" '.[$name] = $value' <<<"$body" 2>/dev/null) ||
            fail "$EXIT_USAGE" "$1 must be JSON: a number, true, false, null, a list, an object or a string in quotes"
        ;;
    whole) body=$(jq -cn --argjson value "$2" '$value' 2>/dev/null) || fail "$EXIT_USAGE" "$1 must be JSON" ;;
    *) fail "$EXIT_USAGE" "this command has no option $1; try: $PROGRAM.sh help" ;;
    esac
    given[$1]=yes
}

# take COUNT [ARGUMENT...]: so many values in their order, and options. After `--` nothing is an option.
take() {
    local count=$1 argument value
    shift
    while (($# > 0)); do
        argument=$1
        shift
        case $argument in
        --)
            positional+=("$@")
            break
            ;;
        --*=*) give "${argument%%=*}" "${argument#*=}" ;;
        --*)
            (($# > 0)) || fail "$EXIT_USAGE" "$argument needs a value"
            give "$argument" "$1"
            shift
            ;;
        *) positional+=("$argument") ;;
        esac
    done
    ((${#positional[@]} == count)) ||
        fail "$EXIT_USAGE" "this command takes $count values besides its options, not ${#positional[@]}; try: $PROGRAM.sh help"
    for value in "${positional[@]}"; do
        # These would lead to another path.
        [[ -n $value && $value != . && $value != .. ]] || fail "$EXIT_USAGE" "'$value' cannot be a part of the path"
    done
}

need() {
    local option
    for option in "$@"; do
        [[ -n ${given[$option]-} ]] || fail "$EXIT_USAGE" "$option is needed; try: $PROGRAM.sh help"
    done
}

# A text as curl's configuration has it.
quoted() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

joined() {
    local IFS='&'
    printf '%s' "$*"
}

# send METHOD PATH: prints the answer.
send() {
    local url header answer status
    local arguments=(--silent --show-error --globoff --path-as-is --max-time 60 --request "$1" --write-out '\n%{http_code}')
    variable "$URL_VARIABLE"
    url=${!URL_VARIABLE}
    [[ $url == http://* || $url == https://* ]] || fail "$EXIT_USAGE" "$URL_VARIABLE is not an http or https URL"
    url=${url%/}$2
    if ((${#query[@]} > 0)); then
        url+="?$(joined "${query[@]}")"
    fi
    case $body_kind in
    json) headers+=('Content-Type: application/json') ;;
    form)
        headers+=('Content-Type: application/x-www-form-urlencoded')
        body=$(joined "${form[@]}")
        ;;
    esac
    if [[ $body_kind != none ]]; then
        arguments+=(--data-binary @/dev/fd/3)
    fi
    # Address and headers go to curl through a pipe, for what may be in them.
    answer=$({
        printf 'url = %s\n' "$(quoted "$url")"
        for header in "${headers[@]}"; do
            printf 'header = %s\n' "$(quoted "$header")"
        done
    } | curl "${arguments[@]}" --config - 3< <(printf '%s' "$body") 2>&1) ||
        fail "$EXIT_UNREACHABLE" "the API could not be reached: ${answer%%$'\n'*}"
    status=${answer##*$'\n'}
    answer=${answer%$'\n'*}
    if [[ $status != 2?? ]]; then
        fail "$EXIT_REFUSED" "$(jq -er '[.error?, .message?, .detail? | strings] | first // empty' <<<"$answer" 2>/dev/null ||
            printf '%s' "$answer") (HTTP $status)"
    fi
    jq . <<<"$answer" 2>/dev/null || printf '%s\n' "$answer"
}

main() {
    local command=${1-help} path tool
    case $command in
    help | --help | -h)
        usage
        return
        ;;
    esac
    for tool in curl jq; do
        command -v "$tool" >/dev/null || fail "$EXIT_USAGE" "$tool is not installed"
    done
    shift
    case $command in
    # COMMANDS
    *) fail "$EXIT_USAGE" "there is no command '$command'; try: $PROGRAM.sh help" ;;
    esac
}

main "$@"
