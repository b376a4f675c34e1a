#!/bin/sh
# Packs a release's archive: the program, its manual pages and completions, units and licence.
#
#   packaging/archive.sh target/release/ccotel ccotel-x86_64-unknown-linux-gnu.tar.gz
#
# The same input gives the same bytes with GNU tar: sorted names, one time, no owner.
set -eu
program=${1:?the path of a built ccotel}
archive=${2:?the name of the archive}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/ccotel/bin" "$work/ccotel/share"
cp "$program" "$work/ccotel/bin/ccotel"
cp -R "$root/target/package/man" "$root/target/package/completions" "$work/ccotel/share/"
cp -R "$root/packaging/systemd" "$root/packaging/launchd" "$work/ccotel/share/"
cp "$root/LICENSE" "$root/README.md" "$root/CHANGELOG.md" "$work/ccotel/"
tar=tar
command -v gtar >/dev/null 2>&1 && tar=gtar
if $tar --version 2>/dev/null | grep -q GNU; then
  $tar --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --owner=0 --group=0 --numeric-owner \
    -C "$work" -cf - ccotel | gzip -n9 >"$archive"
else
  $tar -C "$work" -cf - ccotel | gzip -n9 >"$archive"
fi
