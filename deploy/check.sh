#!/usr/bin/env bash
# Checks the files below deploy/ with the tools of those who read them, and that each role gets what is its
# own and nothing else. FANFOLD names the program; without one, the settings that the files name and the
# identities are not checked against it.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(deploy/tools.sh) || { echo 'deploy-check: NOT CHECKED: the tools cannot be had' >&2; exit 69; }
PATH=$tools:$PATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -R deploy "$folder/deploy"
cd "$folder/deploy"

# Identities as the program prints them, or files of the same names.
if [ -n "${FANFOLD:-}" ]; then
  ROUTES='nats-1 nats-2 nats-3' sh ./identities.sh "$folder/generated" "$FANFOLD" >/dev/null
  "$FANFOLD" help settings > "$folder/settings"
else
  echo 'deploy-check: FANFOLD is not set: NOT CHECKED against the program' >&2
  install -d "$folder/generated"
  for role in api orchestrator worker projector webhooks operator topology; do
    echo x | tee "$folder/generated/$role.nats" > "$folder/generated/$role.redis"
  done
  for file in nats-users.conf nats-routes.conf redis-users.acl keys submit.key read.key admin.key; do echo x > "$folder/generated/$file"; done
fi
rm -rf compose/generated kubernetes/identities/generated
cp -R "$folder/generated" compose/generated
cp -R "$folder/generated" kubernetes/identities/generated

hadolint container/Containerfile
echo 'deploy-check: hadolint: no findings'
docker-compose --file compose/compose.yaml --profile observe config --format json > "$folder/compose.json"
echo 'deploy-check: docker-compose: it reads the compose file'
for overlay in single ha; do
  kubectl kustomize "kubernetes/$overlay" > "$folder/$overlay.yaml"
  kubernetes-validate --strict --no-warn "$folder/$overlay.yaml" > "$folder/said" 2>&1 || { grep -v ' passed ' "$folder/said"; exit 1; }
  echo "deploy-check: kubernetes-validate: $(grep -c ' passed ' "$folder/said") objects of $overlay"
done
server=$OLDPWD/.tools/bin/nats-server
if [ -n "${FANFOLD:-}" ] && [ -x "$server" ]; then
  for config in compose kubernetes/single kubernetes/ha; do
    # The users are beside the configuration in one, and in a folder of their own in the others.
    place=$folder/nats-of/$config
    install -d "$place/nats" "$place/nats-users"
    cp "$config/nats.conf" "$place/nats/"
    cp "$folder"/generated/nats-*.conf "$place/nats/"
    cp "$folder"/generated/nats-*.conf "$place/nats-users/"
    NATS_NAME=nats-1 "$server" -t --config "$place/nats/nats.conf" > "$folder/said" 2>&1 || { cat "$folder/said" >&2; exit 1; }
    echo "deploy-check: nats-server: it takes the configuration of $config"
  done
fi
promtool=$OLDPWD/.tools/bin/promtool
if [ -x "$promtool" ]; then
  # The files of a container are at other places here.
  sed -e "s#/etc/prometheus/rules#$PWD/prometheus/rules#; s#/run/secrets/admin-key#$folder/generated/admin.key#" compose/prometheus.yaml > "$folder/prometheus.yaml"
  "$promtool" check config "$folder/prometheus.yaml" > "$folder/said" 2>&1 || { cat "$folder/said" >&2; exit 1; }
  echo "deploy-check: promtool: $(grep -c SUCCESS "$folder/said") files of Prometheus"
fi
if command -v systemd-analyze >/dev/null; then ./systemd/check.sh
else echo 'deploy-check: no systemd-analyze here: the units are NOT CHECKED' >&2; fi
python3 ./check.py "$folder"
