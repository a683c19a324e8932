#!/bin/sh
# Runs Schemathesis against a Fanfold of its own: `make api-fuzz`. What it needs lands in
# .tools/venv; what it saw, in .tools/api-fuzz.txt.
set -eu
SCHEMATHESIS=4.32.5
here=$(cd "$(dirname "$0")/.." && pwd)
venv="$here/.tools/venv"
program="${FANFOLD:-$here/target/debug/fanfold}"
port="${HTTP_PORT:-18990}"

"$venv/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$venv"
if [ "$("$venv/bin/python" -m pip show schemathesis 2>/dev/null | sed -n 's/^Version: //p')" != "$SCHEMATHESIS" ]; then
    echo "api-fuzz: installing schemathesis $SCHEMATHESIS into .tools/venv"
    "$venv/bin/python" -m pip install --quiet "schemathesis==$SCHEMATHESIS"
fi

data=$(mktemp -d)
PATH="$here/.tools/bin:$PATH" HTTP_PORT=$port DATA_DIR="$data" \
    "$program" up >"$data/log" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true; rm -rf "$data"' EXIT
until curl -fs "http://127.0.0.1:$port/readyz" >/dev/null; do
    kill -0 "$pid" || { cat "$data/log"; exit 1; }
    sleep 0.2
done

# There is something to read: one request of each end.
sample() {
    curl -fsS -o /dev/null "http://127.0.0.1:$port/valuation?sync=$2" \
        -H 'Content-Type: application/xml' -H 'x-desk: rates' -d "$1" || true
}
sample "$(cat "$here/examples/portfolio.xml")" Y
sample '<vnml><project><group><valuation select="/no"/></group></project></vnml>' Y

cd "$data"
id=$(curl -fsS "http://127.0.0.1:$port/valuations?status=succeeded" |
    sed 's/.*"requestId":"\([0-9a-f-]*\)".*/\1/')
cp "$here/scripts/schemathesis.toml" any.toml
# Against a request that is there, headers that are not as documented are no error: preferences and
# conditions that cannot be read are to be ignored (RFC 7240, RFC 9110), and so are unknown ones.
{ cat any.toml; printf 'negative_data_rejection.enabled = false\n\n[parameters]\nid = "%s"\ngroup = 0\ntask = 1\n' "$id"; } >known.toml

# Whatever ids there may be, and then one that is there. Both are run; either may fail it.
fuzz() {
    config=$1
    shift
    "$venv/bin/schemathesis" --config-file "$config" \
        run "http://127.0.0.1:$port/openapi.json" "$@" || echo failed >>failed
}
{ fuzz any.toml "$@"; fuzz known.toml --include-path-regex '\{id\}' "$@"; } 2>&1 |
    tee "$here/.tools/api-fuzz.txt"
[ ! -e failed ]
