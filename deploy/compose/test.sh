#!/usr/bin/env bash
# Runs the compose file for real: test.sh, within scripts/with-docker.sh, with the image of dist/ and images
# of the servers of `make tools`. Every port is a free one.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/tests/first_result.sh
PATH=$(deploy/tools.sh):$PATH
scripts/server-images.py >/dev/null
docker load --quiet --input dist/*-image-amd64.tar
FANFOLD_IMAGE=fanfold/fanfold:$(basename dist/*-image-amd64.tar | cut -d- -f2)
first=$(free_port)
# Two ports in a row, one for each API.
export FANFOLD_IMAGE FANFOLD_API_PORTS=$first-$((first + 1)) FANFOLD_CONSOLE_PORT
FANFOLD_CONSOLE_PORT=$(free_port)
export COMPOSE_PROJECT_NAME=fanfold-test-$$
folder=$(mktemp -d)
cp -R deploy/compose "$folder/compose"
secrets=$folder/compose/generated
compose() { docker-compose --file "$folder/compose/compose.yaml" "$@"; }
finish() {
  code=$?
  [ "$code" = 0 ] || compose logs --tail 15 >&2 || true
  compose down --volumes --timeout 5 >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap finish EXIT

ROUTES='nats-1 nats-2 nats-3' deploy/identities.sh "$secrets" docker run --rm "$FANFOLD_IMAGE"
begun=$(date +%s.%N)
compose up --detach --wait --wait-timeout 180 2>&1 | tail -3
echo "compose: everything is healthy after $(seconds_since "$begun") s"
compose ps --format '{{.Service}} {{.State}} {{.Health}}' | sort | uniq -c

submit() { first_result "http://127.0.0.1:$1" examples/portfolio.xml -H "Authorization: Bearer $(cat "$secrets/submit.key")"; }
for api in "$first" $((first + 1)); do echo "compose: the price of the example is $(submit "$api") at the API on $api"; done

status() { curl --silent --output /dev/null --write-out '%{http_code}' "$@"; }
check() { [ "$1" = "$2" ] || { echo "compose: $3: $1 instead of $2" >&2; exit 1; }; }
api=http://127.0.0.1:$first
check "$(status "$api/valuations")" 401 'a caller without a key'
check "$(status -H "Authorization: Bearer $(cat "$secrets/submit.key")" "$api/dead-letters")" 403 'a caller with a key of another role'
check "$(status "http://127.0.0.1:$FANFOLD_CONSOLE_PORT/healthz")" 200 'the console'

# A role with the password of another cannot do what that role does: the worker writes no log.
denied=$(compose run --rm --no-deps -T --entrypoint /usr/bin/fanfold worker topology apply 2>&1 || true)
grep -qiE 'permission|denied' <<<"$denied" || { echo "compose: the worker may create streams: $denied" >&2; exit 1; }

# Everything goes on without one server of NATS, and without one of each role.
victims=$(compose ps --quiet nats-2; for role in api orchestrator worker projector; do compose ps --quiet "$role" | sed -n 1p; done)
docker kill $victims >/dev/null
left=$(for api in "$first" $((first + 1)); do [ "$(status "http://127.0.0.1:$api/healthz")" = 200 ] && echo "$api"; done || true)
check "$(wc -w <<<"$left")" 1 'the APIs that are left'
echo "compose: the price of the example is $(submit $left) without one of NATS and of each role"
