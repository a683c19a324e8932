#!/usr/bin/env bash
# Runs a command with a Docker engine: scripts/with-docker.sh COMMAND …. An engine that runs is used as it
# is. Otherwise, root on Debian gets one of Debian's packages, with data of its own, which is gone with
# it. Exits with 69 where there is none, and says so.
set -euo pipefail
say() { printf '%s\n' "docker: $*" >&2; }
none() { say "NO DOCKER ENGINE: $*"; exit 69; }

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then exec "$@"; fi
export PATH=$PATH:/usr/sbin:/sbin
[ "$(id -u)" = 0 ] || none 'none runs, and only root could start one'
if ! command -v dockerd >/dev/null || ! command -v iptables >/dev/null; then
  command -v apt-get >/dev/null || none 'no dockerd, and no apt-get to install docker.io with'
  say "installing Debian's docker.io"
  packages='docker.io iptables'
  apt-get install -qq -y --no-install-recommends $packages >/dev/null 2>&1 \
    || { apt-get update -qq && apt-get install -qq -y --no-install-recommends $packages >/dev/null 2>&1; } \
    || none "Debian's docker.io could not be installed"
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/docker.XXXXXX")
export DOCKER_HOST=unix://$folder/docker.sock
dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/exec" \
  --pidfile "$folder/pid" > "$folder/log" 2>&1 &
engine=$!
finish() {
  kill "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
  # An engine that was killed leaves its mounts.
  awk -v folder="$folder/" 'index($2, folder) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for _ in $(seq 300); do
  docker info >/dev/null 2>&1 && break
  kill -0 "$engine" 2>/dev/null || { tail -5 "$folder/log" >&2; none 'dockerd ended at once'; }
  sleep 0.1
done
docker info >/dev/null 2>&1 || { tail -5 "$folder/log" >&2; none 'dockerd did not answer within 30 s'; }
# In the background and awaited, so that a signal is seen at once.
"$@" &
command=$!
code=0
wait "$command" || code=$?
exit "$code"
