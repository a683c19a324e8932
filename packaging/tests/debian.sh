#!/usr/bin/env bash
# The archive or the Debian package in a fresh Debian, used by a user without rights: debian.sh archive|deb.
# FRESH_DEBIAN is that Debian; what is done here is done in a copy of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/tests/first_result.sh
what=$1
scripts/tools.sh >/dev/null
root=$(mktemp -d) up=
finish() {
  [ -z "$up" ] || { kill "$up" && wait "$up"; } || true
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$root"
}
trap finish EXIT
cp -a "$FRESH_DEBIAN/." "$root"
mount -t proc proc "$root/proc"
inside() { chroot "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$@"; }
# Debian has no such NATS: the one of `make tools`, which needs no library.
install -m 755 .tools/bin/nats-server "$root/usr/local/bin/"

if [ "$what" = deb ]; then
  cp dist/*.deb "$root/"
  inside dpkg --install "$(basename dist/*.deb)" >/dev/null 2>&1
  program=/usr/bin/fanfold
  grep -q '^fanfold:' "$root/etc/group"
  inside dpkg --verify fanfold
  for file in share/man/man1/fanfold-up.1.gz share/man/man7/fanfold-settings.7.gz \
    share/bash-completion/completions/fanfold share/zsh/vendor-completions/_fanfold lib/systemd/system/fanfold@.service; do
    [ -s "$root/usr/$file" ] || { echo "deb: no /usr/$file" >&2; exit 1; }
  done
else
  tar -xzf dist/*-linux-x86_64.tar.gz -C "$root/opt"
  program=/opt/$(basename dist/*-linux-x86_64.tar.gz .tar.gz)/bin/fanfold
  inside sh -c ". /opt/*/share/bash-completion/completions/fanfold" 2>/dev/null || inside bash -n "/opt/$(ls "$root/opt")/share/bash-completion/completions/fanfold"
fi
grep -q 'release, optimization 3, jemalloc' <<<"$(inside "$program" --version)"

http=$(free_port)
inside install -d -o nobody -g nogroup /srv/work
chroot --userspec=65534:65534 "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin HTTP_PORT="$http" ADMIN_PORT=0 \
  DATA_DIR=/srv/work "$program" up > "$root/up.log" 2>&1 &
up=$!
price=$(first_result "http://127.0.0.1:$http" examples/portfolio.xml) || { tail -20 "$root/up.log" >&2; exit 1; }
kill "$up"
wait "$up" || { echo "$what: up ended with $?" >&2; exit 1; }
up=

if [ "$what" = deb ]; then
  echo '# mine' >> "$root/etc/fanfold/fanfold.env"
  inside dpkg --remove fanfold >/dev/null 2>&1
  [ ! -e "$root/usr/bin/fanfold" ] && grep -q '# mine' "$root/etc/fanfold/fanfold.env" \
    || { echo 'deb: it is not removed as it should be' >&2; exit 1; }
fi
echo "$what: as nobody in a fresh Debian, the price of the example is $price"
