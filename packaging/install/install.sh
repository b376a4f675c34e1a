#!/bin/sh
# Installs a release of ccotel for this user, and changes nothing else:
#
#   curl -fsSL https://github.com/ccotel/ccotel/releases/latest/download/install.sh | sh
#
# CCOTEL_INSTALL_DIR   where the program goes [~/.local/bin]
# CCOTEL_INSTALL_FROM  where releases are [the latest one on GitHub]
#
# The whole script is read before its last line runs it, so a cut connection does nothing.
set -eu

from=${CCOTEL_INSTALL_FROM:-https://github.com/ccotel/ccotel/releases/latest/download}
to=${CCOTEL_INSTALL_DIR:-$HOME/.local/bin}

fail() {
  echo "ccotel: $*" >&2
  exit 1
}

target() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo x86_64-unknown-linux-gnu ;;
    Linux-aarch64 | Linux-arm64) echo aarch64-unknown-linux-gnu ;;
    Darwin-arm64) echo aarch64-apple-darwin ;;
    Darwin-x86_64) echo x86_64-apple-darwin ;;
    *) fail "there is no release for $(uname -s) on $(uname -m); build it with \`cargo install\`" ;;
  esac
}

check_sum() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum -c - >/dev/null
  else
    shasum -a 256 -c - >/dev/null
  fi
}

main() {
  command -v curl >/dev/null 2>&1 || fail "curl is needed to download the release"
  archive=ccotel-$(target).tar.gz
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  for file in "$archive" SHA256SUMS; do
    curl -fsSL "$from/$file" -o "$work/$file" || fail "cannot download $from/$file"
  done
  (cd "$work" && grep " $archive\$" SHA256SUMS | check_sum) ||
    fail "$archive is not what SHA256SUMS says; nothing was installed"
  tar -xzf "$work/$archive" -C "$work"
  mkdir -p "$to"
  # In one step, so that an agent that runs from there goes on.
  cp "$work/ccotel/bin/ccotel" "$to/.ccotel.new"
  chmod 755 "$to/.ccotel.new"
  mv -f "$to/.ccotel.new" "$to/ccotel"
  echo "ccotel: $("$to/ccotel" --version) is in $to"
  case ":$PATH:" in
    *":$to:"*) echo "ccotel: next: ccotel setup" ;;
    *) echo "ccotel: next: $to/ccotel setup" ;;
  esac
}

main "$@"
