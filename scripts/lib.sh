# shellcheck shell=bash
# Functions that the scripts share. Source this file; do not run it. It also sets ROOT and TARGET_DIR.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TARGET_DIR="${CARGO_TARGET_DIR:-$ROOT/target}"
export ROOT TARGET_DIR

# The features of debug builds in every script, so that tests cover them and nothing is compiled twice.
# shellcheck disable=SC2034 # for those who source this
FEATURES=(--features coordinator/otel)

# say TEXT: prints one line of progress on stderr, so that stdout contains only the script's result.
say() { printf '==> %s\n' "$*" >&2; }

# fail TEXT...: prints an error, one line per argument, and exits.
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  if (($#)); then printf '       %s\n' "$@" >&2; fi
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# help_of FILE: prints the comment block at the top of a script, which is its help.
help_of() { sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "$1"; }

is_debian_root() {
  [[ "$(id -u)" == 0 ]] && have apt-get && grep -Eqs '^(ID|ID_LIKE)=.*(debian|ubuntu)' /etc/os-release
}

APT_UPDATED=no

# apt_install WHY PACKAGE...: installs packages with apt-get, or prints what to install and exits.
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

# python_with_venv: installs Python with venv, which the checks of the Python client and the guides use.
python_with_venv() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python with venv" python3 python3-venv
}

# engine_answers: true if the engine that the docker client uses (DOCKER_HOST is respected) answers.
engine_answers() {
  have docker && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# clock_library: installs the library with which the fault tests set a program's clock.
clock_library() {
  compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null || apt_install "a clock that jumps" faketime
}

# repository_image: builds the image of repository tasks if it is missing or out of date. The first build takes minutes.
repository_image() { "$TARGET_DIR/quick/claude-runner" image build --repository; }
