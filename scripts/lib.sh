# shellcheck shell=bash
# What the scripts share. Sourced, never run. It defines functions and sets ROOT and TARGET_DIR.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TARGET_DIR="${CARGO_TARGET_DIR:-$ROOT/target}"
export ROOT TARGET_DIR

# What debug builds have that a plain one does not, in every script: so that tests see it, and nothing is compiled twice.
# shellcheck disable=SC2034 # for those who source this
FEATURES=(--features coordinator/otel)

# say TEXT: one line of progress, on stderr so that a script's stdout stays its result.
say() { printf '==> %s\n' "$*" >&2; }

# fail TEXT...: an error, one line an argument, and the end.
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  if (($#)); then printf '       %s\n' "$@" >&2; fi
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# help_of FILE: the comment block at the top of a script is its help.
help_of() { sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "$1"; }

is_debian_root() {
  [[ "$(id -u)" == 0 ]] && have apt-get && grep -Eqs '^(ID|ID_LIKE)=.*(debian|ubuntu)' /etc/os-release
}

APT_UPDATED=no

# apt_install WHY PACKAGE...: installs by the system's package manager, or says what to install and ends.
apt_install() {
  local why="$1"
  shift
  is_debian_root || fail "$why is missing, and it can be installed from here only as root on Debian" \
    "install it yourself, then run this again (Debian's packages: $*)"
  if [[ "$APT_UPDATED" == no ]]; then
    apt-get -qq update || say "apt-get update failed; trying with the lists that are there"
    APT_UPDATED=yes
  fi
  say "installing by apt-get, for $why: $*"
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null ||
    fail "apt-get could not install: $*"
}

# python_with_venv: for the Python client, where it is checked and where the guides use it.
python_with_venv() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python with venv" python3 python3-venv
}

# engine_answers: true when the engine that the docker client would use (DOCKER_HOST is honoured) answers.
engine_answers() {
  have docker && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# The library with which the fault tests set a program's clock.
clock_library() {
  compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null || apt_install "a clock that jumps" faketime
}

# repository_image: the image of repository tasks, built where it is missing or out of date. Takes minutes the first time.
repository_image() { "$TARGET_DIR/quick/claude-runner" image build --repository; }
