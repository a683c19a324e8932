#!/usr/bin/env bash
# Lays out what every package has, below a folder: packaging/stage.sh PROGRAM FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1 folder=$2
rm -rf "$folder"
share=$folder/share
install -D -m 755 "$program" "$folder/bin/fanfold"
strip --strip-all "$folder/bin/fanfold"
fanfold() { env -i "$folder/bin/fanfold" "$@"; }

fanfold help --manual "$folder/pages"
for section in 1 7; do
  install -d "$share/man/man$section"
  mv "$folder"/pages/*."$section" "$share/man/man$section/"
done
rmdir "$folder/pages"
install -d "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
fanfold completions bash > "$share/bash-completion/completions/fanfold"
fanfold completions zsh > "$share/zsh/site-functions/_fanfold"
fanfold completions fish > "$share/fish/vendor_completions.d/fanfold.fish"

install -d "$share/doc/fanfold" "$share/fanfold/examples"
cp LICENSE CHANGELOG.md docs/install.md "$share/doc/fanfold/"
packaging/sbom.py "$share/doc/fanfold/fanfold.cdx.json" "$share/doc/fanfold/THIRD-PARTY.txt"
cp examples/*.xml "$share/fanfold/examples/"
cp -R deploy "$share/fanfold/deploy"
rm -rf "$share/fanfold/deploy/systemd" "$share"/fanfold/deploy/*/generated
install -d "$folder/lib/systemd/system" "$folder/lib/sysusers.d"
cp -R deploy/systemd/units/. "$folder/lib/systemd/system/"
cp deploy/systemd/sysusers.conf "$folder/lib/sysusers.d/fanfold.conf"
# The modes of a package do not depend on who made it.
find "$folder" -type d -exec chmod 755 {} +
find "$folder" -type f ! -perm -u+x -exec chmod 644 {} +
find "$folder" -type f -perm -u+x -exec chmod 755 {} +
