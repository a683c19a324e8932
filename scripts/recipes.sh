#!/bin/sh
# Gets what the recipes of examples/ need, for the tests that run them: Python packages into
# .tools/venv, Node packages into examples/consumers/node_modules.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
venv="$here/.tools/venv"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet nats-py==2.16.0
if command -v npm >/dev/null; then
    cd "$here/examples/consumers"
    npm install --silent --no-audit --no-fund
else
    echo "recipes: no npm here; the TypeScript recipe is not tested"
fi
