#!/usr/bin/env bash
# Installs each package of dist/ in a clean place, and uses it: packaging/test.sh [wheel archive deb image].
# `archive` and `deb` need root, and a Debian of debootstrap; `image` needs a Docker engine or root.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f dist/SHA256SUMS ] || { echo 'dist-test: there is no dist/: run make dist' >&2; exit 1; }
(cd dist && sha256sum --quiet --check SHA256SUMS)
packaging/tests/contents.py dist
[ $# -gt 0 ] || set -- wheel archive deb image
code=0 results=
for what in "$@"; do
  script=$what
  case $what in archive | deb) script=debian ;; esac
  if "packaging/tests/$script.sh" "$what"; then results+="dist-test: $what: passed"$'\n'
  elif [ $? = 69 ]; then results+="dist-test: $what: NOT TESTED, see above"$'\n'
  else results+="dist-test: $what: FAILED"$'\n' code=1; fi
done
printf '%s' "$results"
exit "$code"
