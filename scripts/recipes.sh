#!/bin/sh
# Gets what the recipes of examples/ and the libraries of clients/ need, for the tests that run
# them: Python packages into .tools/venv, Node packages into node_modules beside their package.json.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
venv="$here/.tools/venv"
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet nats-py==2.16.0 zstandard==0.25.0 opentelemetry-proto==1.45.2
if command -v npm >/dev/null; then
    for folder in examples/consumers clients/typescript; do
        cd "$here/$folder"
        [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --no-audit --no-fund
    done
else
    echo "recipes: no npm here; what is in TypeScript is not tested"
fi
