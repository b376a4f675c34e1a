#!/bin/sh
# Makes the files of a package that the binary knows itself: manual pages and completions.
#
#   packaging/files.sh target/release/ccotel    # into target/package
set -eu
program=${1:?the path of a built ccotel}
out=$(dirname "$0")/../target/package
rm -rf "$out"
mkdir -p "$out/man" "$out/completions"
"$program" man --dir "$out/man"
"$program" completions bash >"$out/completions/ccotel"
"$program" completions zsh >"$out/completions/_ccotel"
"$program" completions fish >"$out/completions/ccotel.fish"
