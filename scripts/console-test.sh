#!/usr/bin/env bash
# Gets what the tests of the console in a browser need: Debian's Chromium, Playwright for Python in
# .tools/console, and axe for accessibility. Nothing of it is in the tree, and nothing is needed to
# build or to run Fanfold.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools/console
say() { printf '%s\n' "console-test: $*"; }

if ! command -v chromium >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "there is no chromium on the PATH, and only root can install Debian's"
    exit 1
  fi
  say "installing Chromium with apt-get"
  apt-get update -q >/dev/null && apt-get install -y -q chromium >/dev/null
fi
[ -x "$tools/bin/python" ] || python3 -m venv --clear "$tools"
"$tools/bin/python" -m pip install --quiet playwright==1.65.0
axe=$tools/axe-4.14.1.min.js
if [ ! -s "$axe" ]; then
  if command -v npm >/dev/null; then
    folder=$(mktemp -d)
    (cd "$folder" && npm pack --silent axe-core@4.14.1 >/dev/null && tar xzf axe-core-4.14.1.tgz package/axe.min.js)
    sum=$(sha256sum "$folder/package/axe.min.js" | cut -d' ' -f1)
    [ "$sum" = 29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c ] || { say "axe.min.js has another hash: $sum"; exit 1; }
    mv "$folder/package/axe.min.js" "$axe"
    rm -r "$folder"
  else
    say "no npm here: accessibility is not tested"
  fi
fi
