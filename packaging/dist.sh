#!/usr/bin/env bash
# Makes every package into dist/. PROGRAM names a program that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
umask 022
program=${PROGRAM:-}
[ -n "$program" ] || { echo 'dist: building the optimized program (some minutes)'; program=$(packaging/build.sh); }
packaging/symbols.sh "$program" 2.28

rm -rf dist
mkdir -p dist
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
packaging/stage.sh "$program" "$stage/fanfold"
cp "$stage/fanfold/share/doc/fanfold/fanfold.cdx.json" "dist/fanfold-$version.cdx.json"
name=fanfold-$version-linux-x86_64
cp -R "$stage/fanfold" "$stage/$name"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$stage" -cf - "$name" \
| gzip -9n > "dist/$name.tar.gz"
packaging/wheel.py "$stage/fanfold" "$version" dist >/dev/null
packaging/deb.sh "$stage/fanfold" "$version" dist >/dev/null
packaging/image.py "$stage/fanfold" "$version" dist >/dev/null
(cd dist && sha256sum -- * > SHA256SUMS)
(cd dist && ls -l)
