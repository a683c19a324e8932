#!/usr/bin/env bash
# Installs each package of dist/ in a clean place, and uses it: packaging/test.sh
# [wheel archive deb systemd image].
# `archive`, `deb` and `systemd` need root, for a fresh Debian; `image` and `systemd` need a Docker engine.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f dist/SHA256SUMS ] || { echo 'dist-test: there is no dist/: run make dist' >&2; exit 1; }
(cd dist && sha256sum --quiet --check SHA256SUMS)
packaging/tests/contents.py dist
[ $# -gt 0 ] || set -- wheel archive deb systemd image
FRESH_DEBIAN=$(mktemp -d)
export FRESH_DEBIAN
trap 'rm -rf --one-file-system "$FRESH_DEBIAN"' EXIT

run() {
  case $1 in
    archive | deb | systemd) [ -e "$FRESH_DEBIAN/etc" ] || packaging/tests/fresh_debian.sh "$FRESH_DEBIAN" || return ;;
  esac
  case $1 in
    archive | deb) packaging/tests/debian.sh "$1" ;;
    image | systemd) scripts/with-docker.sh "packaging/tests/$1.sh" ;;
    *) "packaging/tests/$1.sh" ;;
  esac
}

code=0 results=
for what in "$@"; do
  if run "$what"; then results+="dist-test: $what: passed"$'\n'
  elif [ $? = 69 ]; then results+="dist-test: $what: NOT TESTED, see above"$'\n'
  else results+="dist-test: $what: FAILED"$'\n' code=1; fi
done
printf '%s' "$results"
exit "$code"
