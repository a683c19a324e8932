#!/usr/bin/env bash
# Writes the Debian package: packaging/deb.sh STAGE VERSION FOLDER. Its times are SOURCE_DATE_EPOCH.
set -euo pipefail
cd "$(dirname "$0")/.."
stage=$1 version=$2 folder=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
install -d "$root/usr" "$root/DEBIAN" "$root/etc/fanfold"
cp -R "$stage/bin" "$stage/share" "$stage/lib" "$root/usr/"
find "$root/usr/share/man" -type f -exec gzip -9n {} +
gzip -9n "$root/usr/share/doc/fanfold/CHANGELOG.md" "$root/usr/share/doc/fanfold/THIRD-PARTY.txt"
rm "$root/usr/share/doc/fanfold/LICENSE"
# Debian has the functions of zsh elsewhere.
install -d "$root/usr/share/zsh/vendor-completions"
mv "$root/usr/share/zsh/site-functions/_fanfold" "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
install -m 644 packaging/deb/copyright "$root/usr/share/doc/fanfold/copyright"
install -m 644 deploy/systemd/fanfold.env "$root/etc/fanfold/fanfold.env"
echo /etc/fanfold/fanfold.env > "$root/DEBIAN/conffiles"
install -m 755 packaging/deb/postinst packaging/deb/prerm "$root/DEBIAN/"
sed -e "s/@VERSION@/$version/" -e "s/@SIZE@/$(du -sk "$root/usr" | cut -f1)/" packaging/deb/control > "$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$folder/fanfold_${version}_amd64.deb" >/dev/null
echo "$folder/fanfold_${version}_amd64.deb"
