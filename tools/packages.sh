#!/bin/bash
# The only list of packages; the names are the same in Debian 12 and Ubuntu 24.04.
#   packages.sh           installs the missing packages that the programs need
#   packages.sh test      ... and those of the tests
#   packages.sh long      ... and those of the long tests
#   packages.sh list SET  prints the names
# A script that sources it gets the function install_missing SET.

program_packages="
  g++ cmake ninja-build pkg-config
  libabsl-dev libfmt-dev libspdlog-dev libtomlplusplus-dev
  nlohmann-json3-dev libpcre2-dev libutf8proc-dev libsodium-dev libhwloc-dev
  protobuf-compiler libprotobuf-dev libzmq3-dev cppzmq-dev libboost-dev libssl-dev
  openmpi-bin libopenmpi-dev"
test_packages="libgtest-dev libgmock-dev python3 python3-zmq python3-protobuf
  iproute2 curl openssl"
long_packages="clang-tidy libbenchmark-dev python3-venv python3-jinja2"

packages_of() {
  case "$1" in
    program) echo $program_packages ;;
    test) echo $program_packages $test_packages ;;
    long) echo $program_packages $test_packages $long_packages ;;
    *)
      echo "packages.sh: no set \"$1\"; there are program, test and long" >&2
      return 2
      ;;
  esac
}

# Prints the packages among the arguments that are not installed.
missing_of() {
  local installed
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    sed -n 's/ installed$//p')
  local name
  for name in "$@"; do
    grep -qxF -- "$name" <<<"$installed" || echo "$name"
  done
}

# Runs apt-get as root or with sudo; 1 if neither is possible.
run_apt() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@" </dev/null
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@"
  else
    return 1
  fi
}

install_missing() {
  local wanted missing
  wanted=$(packages_of "$1") || return 2
  if ! command -v dpkg-query >/dev/null; then
    echo "packages.sh: this is neither Debian nor Ubuntu; install these (Debian names):" >&2
    echo "  $wanted" >&2
    return 0
  fi
  missing=$(missing_of $wanted | tr '\n' ' ')
  missing=${missing% }
  [ -n "$missing" ] || return 0
  echo "packages.sh: installing $missing" >&2
  if run_apt update -q >&2 && run_apt install -q -y --no-install-recommends $missing >&2; then
    return 0
  fi
  missing=$(missing_of $wanted | tr '\n' ' ')
  cat >&2 <<WORDS
packages.sh: these packages are missing and could not be installed from here
(that takes root, or sudo without a password, and a reachable mirror): ${missing% }
Ask an administrator to run:
  apt-get update && apt-get install -y --no-install-recommends ${missing% }
WORDS
  return 1
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  if [ "${1:-}" = list ]; then
    packages_of "${2:-program}"
  else
    install_missing "${1:-program}"
  fi
fi
