#!/usr/bin/env bash
# The image in a Docker engine, within scripts/with-docker.sh: as it is, on a root that nobody may write, without capabilities, with the
# servers of the compose file in containers beside it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/tests/first_result.sh
scripts/tools.sh >/dev/null
scripts/server-images.py >/dev/null
docker load --quiet --input dist/*-image-amd64.tar
image=$(docker image inspect --format '{{index .RepoTags 0}}' "fanfold/fanfold:$(basename dist/*-image-amd64.tar | cut -d- -f2)")
name=fanfold-test-$$
finish() { docker rm --force --volumes "$name" "$name-nats" "$name-redis" >/dev/null 2>&1 || true; docker network rm "$name" >/dev/null 2>&1 || true; }
trap finish EXIT
asked() { docker image inspect --format "$1" "$image"; }
[ "$(asked '{{.Config.User}}')" = 65532:65532 ]
[ "$(asked '{{json .Config.Healthcheck.Test}}')" = '["CMD","/usr/bin/fanfold","probe","--ready"]' ]

http=$(free_port)
docker network create "$name" >/dev/null
docker run --detach --network "$name" --name "$name-nats" nats:2.15.1 -js >/dev/null
docker run --detach --network "$name" --name "$name-redis" redis:7.0.15 >/dev/null
begun=$(date +%s.%N)
docker run --detach --network "$name" --name "$name" --publish "127.0.0.1:$http:8080" \
  --read-only --cap-drop ALL --security-opt no-new-privileges --health-interval 1s \
  --env NATS_URL="nats://$name-nats:4222" --env REDIS_URL="redis://$name-redis:6379" --env AUTH=none "$image" up >/dev/null
price=$(first_result "http://127.0.0.1:$http" examples/portfolio.xml) || { docker logs "$name" 2>&1 | tail -20 >&2; exit 1; }
echo "image: the price of the example is $price, $(seconds_since "$begun") s after docker run"
until=$((SECONDS + 30))
while [ "$(docker inspect --format '{{.State.Health.Status}}' "$name")" != healthy ]; do
  [ "$SECONDS" -lt "$until" ] || { docker inspect --format '{{json .State.Health}}' "$name" >&2; exit 1; }
  sleep 0.2
done
# It runs as a user without rights, and stops in order.
grep -qE '^ *[0-9]+ +65532 +/usr/bin/fanfold up' <<<"$(docker top "$name" -eo pid,uid,args)"
docker stop --time 30 "$name" >/dev/null
[ "$(docker inspect --format '{{.State.ExitCode}}' "$name")" = 0 ] || { docker logs "$name" 2>&1 | tail -5 >&2; exit 1; }
# Strangers do not reach a role whose callers prove nothing.
if docker run --rm --network none "$image" api 2>/dev/null; then echo 'image: api started without AUTH' >&2; exit 1; fi
echo 'image: healthy as 65532 on a root that nobody may write, and stopped in order'
