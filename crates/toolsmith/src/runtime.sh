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

# The request, from the command line and the environment.
positional=() headers=() cookies=() query=() form=() parts=()
body='' body_kind=none body_file='' raw_given='' media_type='' nested_in='' parameter='' is_graphql=no
declare -A place_of=() name_of=() given=()
# The fields of a JSON body, and of the object in it: their names in order, and their values as JSON.
# shellcheck disable=SC2034 # they are used by their names
fields=() nested=()
# shellcheck disable=SC2034
declare -A fields_of=() nested_of=()

escaped() {
    jq -rn --arg text "$1" '$text | @uri'
}

escaped_path() {
    jq -rn --arg text "$1" '$text | split("/") | map(@uri) | join("/")'
}

json_text() {
    jq -n --arg text "$1" '$text'
}

# is_json TEXT: true for one JSON value. jq reads more than JSON, and it rounds numbers, so that the text itself is sent.
is_json() {
    local exact='^[[:space:]]*-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?[[:space:]]*$'
    if [[ $1 =~ ^[[:space:]]*[-+.0-9] ]]; then
        [[ $1 =~ $exact ]]
        return
    fi
    jq -es 'length == 1 and (any(.. | numbers; isnan) | not)' <<<"$1" >/dev/null 2>&1
}

# field fields|nested NAME JSON: sets a field. The name is JSON, too.
field() {
    # shellcheck disable=SC2178 # they are arrays
    local -n names=$1 values=$1_of
    [[ -n ${values[$2]-} ]] || names+=("$2")
    values[$2]=$3
}

# object fields|nested: the object.
object() {
    # shellcheck disable=SC2178
    local -n names=$1 values=$1_of
    local name text=''
    for name in "${names[@]}"; do
        text+=",$name:${values[$name]}"
    done
    printf '{%s}' "${text:1}"
}

# variable NAME: fails where it is not set or cannot be sent.
variable() {
    [[ -n ${!1-} ]] || fail "$EXIT_USAGE" "$1 is not set"
    [[ ${!1} != *[[:cntrl:]]* ]] || fail "$EXIT_USAGE" "$1 contains a control character"
}

# secret PLACE NAME VARIABLE: the value of a secret is never an argument of a program: those are readable for others.
secret() {
    variable "$3"
    local value
    case $1 in
    header) headers+=("$2${!3}") ;;
    cookie) add_cookie "$2" "${!3}" "$3" ;;
    part) add_part "$2" "${!3}" '' ;;
    query | form)
        value=$(jq -rn --arg name "$2" --arg variable "$3" '"\($name | @uri)=\($ENV[$variable] | @uri)"')
        if [[ $1 == query ]]; then query+=("$value"); else form+=("$value"); fi
        ;;
    fields | nested)
        value=$(jq -n --arg variable "$3" '$ENV[$variable]')
        field "$1" "$2" "$value"
        ;;
    esac
}

# optional_secret PLACE NAME VARIABLE: is used where it is set.
optional_secret() {
    if [[ -n ${!3-} ]]; then
        secret "$@"
    fi
}

add_cookie() { # NAME VALUE ORIGIN
    [[ $2 != *[[:cntrl:]\;]* ]] || fail "$EXIT_USAGE" "$3 contains a character that no cookie can have"
    cookies+=("$1=$2")
}

add_part() { # NAME VALUE SUFFIX
    local value=${2//\\/\\\\}
    parts+=("$1=\"${value//\"/\\\"}\"$3")
}

# option --OPTION PLACE NAME: the command takes this option.
option() {
    place_of[$1]=$2
    name_of[$1]=$3
}

# give --OPTION VALUE: it was given.
give() {
    local place=${place_of[$1]-} name=${name_of[$1]-} value
    if [[ $1 == --null && -z $place ]]; then
        give_null "--$2"
        return
    fi
    case $place in
    query | form)
        value=$(escaped "$name")=$(escaped "$2")
        if [[ $place == query ]]; then query+=("$value"); else form+=("$value"); fi
        ;;
    header)
        [[ $2 != *[[:cntrl:]]* ]] || fail "$EXIT_USAGE" "$1 contains a control character"
        if [[ -n $2 ]]; then headers+=("$name: $2"); else headers+=("$name;"); fi
        ;;
    cookie) add_cookie "$name" "$2" "$1" ;;
    part) add_part "$name" "$2" '' ;;
    json_part)
        is_json "$2" || fail "$EXIT_USAGE" "$1 must be JSON"
        add_part "$name" "$2" ';type=application/json'
        ;;
    file_part)
        [[ -f $2 && -r $2 ]] || fail "$EXIT_USAGE" "$1: there is no file $2"
        value=${2//\\/\\\\}
        parts+=("$name=@\"${value//\"/\\\"}\"")
        ;;
    fields_text | nested_text)
        value=$(json_text "$2")
        field "${place%_text}" "$name" "$value"
        ;;
    fields_json | nested_json)
        is_json "$2" ||
            fail "$EXIT_USAGE" "$1 must be JSON: a number, true, false, null, a list, an object or a string in quotes"
        field "${place%_json}" "$name" "$2"
        ;;
    whole)
        is_json "$2" || fail "$EXIT_USAGE" "$1 must be JSON"
        body=$2
        ;;
    raw) body=$2 raw_given=yes ;;
    raw_file)
        [[ $2 == - || (-f $2 && -r $2) ]] || fail "$EXIT_USAGE" "$1: there is no file $2"
        body_file=$2
        ;;
    *) fail "$EXIT_USAGE" "this command has no option $1; try: $PROGRAM.sh help" ;;
    esac
    given[$1]=yes
}

# give_null --OPTION: the field of this option is null.
give_null() {
    case ${place_of[$1]-} in
    fields_text | fields_json) field fields "${name_of[$1]}" null ;;
    nested_text | nested_json) field nested "${name_of[$1]}" null ;;
    *) fail "$EXIT_USAGE" "--null ${1#--}: this command has no such field; try: $PROGRAM.sh help" ;;
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
        [[ -n $value && $value != . && $value != .. && /$value/ != */../* ]] ||
            fail "$EXIT_USAGE" "'$value' cannot be a part of the path"
    done
}

need() {
    local option
    for option in "$@"; do
        [[ -n ${given[$option]-} ]] || fail "$EXIT_USAGE" "$option is needed; try: $PROGRAM.sh help"
    done
}

need_body() {
    [[ -n ${given[$1]-}${given[$2]-} ]] || fail "$EXIT_USAGE" "$1 or $2 is needed; try: $PROGRAM.sh help"
}

# A text as curl's configuration has it.
quoted() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\n'/\\n}
    text=${text//$'\r'/\\r}
    printf '"%s"' "${text//$'\t'/\\t}"
}

joined() { # SEPARATOR [TEXT...]
    local separator=$1 text='' part
    shift
    for part in "$@"; do
        text+=$separator$part
    done
    printf '%s' "${text:${#separator}}"
}

# Builds the body, and the headers that belong to it.
build_body() {
    case $body_kind in
    json | in_query)
        if [[ -z $body ]]; then
            if [[ -n $nested_in ]]; then
                field fields "$nested_in" "$(object nested)"
            fi
            body=$(object fields)
        fi
        if [[ $body_kind == in_query ]]; then
            query+=("$(escaped "$parameter")=$(escaped "$body")")
            body_kind=none
            return
        fi
        ;;
    form) body=$(joined '&' "${form[@]}") ;;
    raw) [[ -n $raw_given$body_file ]] || body_kind=none ;;
    parts) ((${#parts[@]} > 0)) || body_kind=none ;;
    esac
    case $body_kind in
    json) headers+=("Content-Type: ${media_type:-application/json}") ;;
    form) headers+=("Content-Type: ${media_type:-application/x-www-form-urlencoded}") ;;
    raw) headers+=("Content-Type:${media_type:+ $media_type}") ;;
    esac
}

# curl's configuration: address and headers go through a pipe, for what may be in them.
configuration() { # URL
    local text
    printf 'url = %s\n' "$(quoted "$1")"
    for text in "${headers[@]}"; do
        printf 'header = %s\n' "$(quoted "$text")"
    done
    for text in "${parts[@]}"; do
        printf 'form = %s\n' "$(quoted "$text")"
    done
}

# send METHOD PATH: prints the answer as it comes.
send() {
    local url answer status location message
    local arguments=(--silent --show-error --globoff --path-as-is --compressed --max-time 60 --request "$1")
    variable "$URL_VARIABLE"
    url=${!URL_VARIABLE}
    [[ $url == http://* || $url == https://* ]] || fail "$EXIT_USAGE" "$URL_VARIABLE is not an http or https URL"
    build_body
    url=${url%/}$2
    if ((${#query[@]} > 0)); then
        url+="?$(joined '&' "${query[@]}")"
    fi
    if ((${#cookies[@]} > 0)); then
        headers+=("Cookie: $(joined '; ' "${cookies[@]}")")
    fi
    headers+=('Expect:')
    case $body_kind in
    none)
        if [[ $1 != GET && $1 != DELETE ]]; then
            headers+=('Content-Length: 0')
        fi
        ;;
    parts) ;;
    *) arguments+=(--data-binary "@${body_file:-/dev/fd/3}") ;;
    esac
    answer=$(mktemp) || fail "$EXIT_USAGE" "no temporary file can be made"
    # shellcheck disable=SC2064 # the name of the file as it is now
    trap "rm -f -- '$answer'" EXIT
    status=$(curl "${arguments[@]}" --output "$answer" --write-out '%{http_code} %{redirect_url}' \
        --config /dev/fd/4 3< <(printf '%s' "$body") 4< <(configuration "$url") 2>&1) ||
        fail "$EXIT_UNREACHABLE" "the API could not be reached: ${status%%$'\n'*}"
    location=${status#* }
    status=${status%% *}
    if [[ $status != 2?? ]]; then
        message=$(jq -er '[.error?, .error?.message?, .message?, .detail?, .title?, .errors?[0]?.message? | strings]
            | first // empty' "$answer" 2>/dev/null || head -c 2000 "$answer" | tr -d '\0')
        fail "$EXIT_REFUSED" "${message}${location:+the answer leads to $location} (HTTP $status)"
    fi
    if [[ $is_graphql == yes ]] && message=$(jq -er 'select(.data? == null) | .errors[0] | .message' "$answer" 2>/dev/null); then
        fail "$EXIT_REFUSED" "$message"
    fi
    cat -- "$answer"
    if [[ -t 1 && -s $answer ]]; then
        printf '\n'
    fi
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
