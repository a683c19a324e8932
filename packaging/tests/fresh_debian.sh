#!/usr/bin/env bash
# Makes a fresh Debian in a folder: fresh_debian.sh FOLDER. Needs root, and exits with 69 where it cannot.
# SUITE names the Debian.
set -euo pipefail
folder=$1 suite=${SUITE:-bookworm}
none() { echo "dist-test: no fresh Debian: $*" >&2; exit 69; }
[ "$(id -u)" = 0 ] || none 'only root can make one'
command -v apt-get >/dev/null || none 'there is no apt-get here'
command -v debootstrap >/dev/null || apt-get install -qq -y --no-install-recommends debootstrap >/dev/null 2>&1 \
  || { apt-get update -qq && apt-get install -qq -y --no-install-recommends debootstrap >/dev/null 2>&1; } \
  || none 'debootstrap could not be installed'
mirror=$(awk '/^URIs: / {print $2; exit} /^deb / {for (i = 2; i < NF; i++) if ($i ~ /^http/) {print $i; exit}}' \
  /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)
debootstrap --variant=minbase --include=systemd,redis-server "$suite" "$folder" "$mirror" > "$folder.log" 2>&1 \
  || { tail -5 "$folder.log" >&2; rm -f "$folder.log"; none 'debootstrap failed'; }
rm -f "$folder.log"
rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
chmod 755 "$folder"
echo "dist-test: a fresh $suite, with glibc $(chroot "$folder" ldd --version | sed -n '1s/.* //p')"
