#!/bin/sh
# Gets what an example needs into an environment of its own: scripts/example-venv.sh quantlib. Its wheels
# are pinned by hash in requirements.txt of its folder.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
venv="$here/.tools/$1"
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --require-hashes --requirement "$here/examples/$1/requirements.txt"
"$venv/bin/python" -m pip install --quiet nats-py==2.16.0 zstandard==0.25.0
