#!/usr/bin/env bash
# Gets the tools that check what is here into an environment of its own, and prints the folder of its
# programs.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/.tools/deploy
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --require-hashes --no-deps --requirement deploy/requirements.txt
"$venv/bin/python" -m pip install --quiet --requirement <(grep -o '^kubernetes-validate==[0-9.]*' deploy/requirements.txt) pyyaml==6.0.4
echo "$venv/bin"
