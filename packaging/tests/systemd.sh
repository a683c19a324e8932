#!/usr/bin/env bash
# The units of the Debian package under a systemd of their own, in a container with FRESH_DEBIAN, within
# scripts/with-docker.sh: as docs/install.md says, with users of NATS and Redis of each role's own.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/tests/first_result.sh
scripts/tools.sh >/dev/null
image=fanfold-systemd-$$ name=fanfold-systemd-$$
finish() {
  code=$?
  [ "$code" = 0 ] || docker exec "$name" journalctl --no-pager --lines 40 >&2 || true
  docker rm --force --volumes "$name" >/dev/null 2>&1 || true
  docker rmi --force "$image" >/dev/null 2>&1 || true
}
trap finish EXIT
tar -C "$FRESH_DEBIAN" --one-file-system -c . | docker import - "$image" >/dev/null
http=$(free_port)
# systemd mounts, also credentials, and has control groups of its own. A machine may have no right to be `--privileged`.
docker run --detach --name "$name" --cap-add SYS_ADMIN --cap-add DAC_READ_SEARCH --cap-add SYS_PTRACE \
  --security-opt seccomp=unconfined --security-opt systempaths=unconfined --publish "127.0.0.1:$http:8080" --tmpfs /run --tmpfs /tmp \
  --env container=docker "$image" sh -c 'mount --make-rshared / && umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec /lib/systemd/systemd' >/dev/null
inside() { docker exec "$name" "$@"; }
until=$((SECONDS + 60))
until state=$(inside systemctl is-system-running 2>/dev/null) || [ "$state" = degraded ]; do
  [ "$SECONDS" -lt "$until" ] || { echo "systemd: it does not run: $state" >&2; docker logs "$name" | tail -5 >&2; exit 1; }
  sleep 0.3
done

docker cp .tools/bin/nats-server "$name:/usr/local/bin/nats-server"
docker cp "$(echo dist/*.deb)" "$name:/root/fanfold.deb"
inside dpkg --install /root/fanfold.deb >/dev/null 2>&1
inside sh -euc '
  systemctl stop redis-server
  sh /usr/share/fanfold/deploy/identities.sh /etc/fanfold/identities >/dev/null
  install -m 640 -g fanfold /etc/fanfold/identities/keys /etc/fanfold/keys
  sed -i -e "s/^#AUTH_KEYS_FILE/AUTH_KEYS_FILE/" -e "s/^#HTTP_HOST/HTTP_HOST/" /etc/fanfold/fanfold.env
  printf "jetstream {}\ninclude ./nats-users.conf\n" > /etc/fanfold/identities/nats.conf
'
docker exec --detach "$name" nats-server --config /etc/fanfold/identities/nats.conf --store_dir /var/lib/nats
docker exec --detach "$name" redis-server --save "" --aclfile /etc/fanfold/identities/redis-users.acl
inside sh -euc '
  systemctl start fanfold-topology
  systemctl start fanfold@api fanfold@orchestrator fanfold@worker fanfold@projector fanfold@console
'
price=$(first_result "http://127.0.0.1:$http" examples/portfolio.xml -H "Authorization: Bearer $(inside cat /etc/fanfold/identities/submit.key)")
for role in api orchestrator worker projector console; do
  unit=fanfold@$role.service
  [ "$(inside systemctl is-active "$unit")" = active ] || { echo "systemd: $unit is not active" >&2; exit 1; }
  pid=$(inside systemctl show --property MainPID --value "$unit")
  # A user of its own that is not root, no capability, and no way to get one.
  inside sh -euc "grep -q '^Uid:.*[1-9][0-9][0-9][0-9]' /proc/$pid/status; grep -q '^CapEff:.*0000000000000000' /proc/$pid/status; grep -q '^NoNewPrivs:.*1' /proc/$pid/status" \
    || { echo "systemd: $unit has rights" >&2; exit 1; }
done
users=$(for role in api orchestrator worker projector console; do inside systemctl show --property MainPID --value "fanfold@$role" | xargs -I{} docker exec "$name" sh -c "awk '/^Uid/ {print \$2}' /proc/{}/status"; done | sort -u | wc -l)
[ "$users" = 5 ] || { echo "systemd: $users users for 5 roles" >&2; exit 1; }
# A restart is told by the process itself: Type=notify waits for its word.
inside systemctl restart fanfold@orchestrator
inside systemctl stop 'fanfold@*'
[ "$(inside systemctl show --property Result --value fanfold@api)" = success ] || { echo 'systemd: the API did not stop in order' >&2; exit 1; }
echo "systemd: the price of the example is $price, with five roles as users of their own"
