#!/bin/sh
# Gets what the recipes of examples/ need, for the tests that run them: Python packages into
# .tools/venv, Node packages into examples/consumers/node_modules.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
venv="$here/.tools/venv"
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet nats-py==2.16.0
if command -v npm >/dev/null; then
    cd "$here/examples/consumers"
    npm install --silent --no-audit --no-fund
else
    echo "recipes: no npm here; the TypeScript recipe is not tested"
fi
