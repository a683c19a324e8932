#!/usr/bin/env bash
# Has systemd read the units as they are installed, and judge how exposed each is: at most 2.0 of 10.
set -euo pipefail
cd "$(dirname "$0")"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
units=$root/usr/lib/systemd/system
install -d "$units" "$root/usr/bin" "$root/etc/fanfold"
cp -R units/. "$units/"
# Only whether it can be run is looked at.
install -m 755 /bin/true "$root/usr/bin/fanfold"
all='fanfold-topology.service'
for role in api orchestrator worker projector webhooks console; do
  ln -s fanfold@.service "$units/fanfold@$role.service"
  all+=" fanfold@$role.service"
done
# The units of the system that these name; they are of no interest here.
for target in basic network-online multi-user sysinit shutdown; do printf '[Unit]\n' > "$units/$target.target"; done
said=$(systemd-analyze verify --root="$root" --man=no --recursive-errors=no $all 2>&1) || { echo "$said" >&2; exit 1; }
[ -z "$said" ] || { echo "$said" >&2; exit 1; }
systemd-analyze security --root="$root" --offline=true --threshold=20 --no-pager $all > "$root/said" 2>&1 || { tail -40 "$root/said" >&2; exit 1; }
grep -oE 'exposure level for .*' "$root/said" | sed 's/^/deploy-check: systemd-analyze: /; s/ [^ ]*$//'
