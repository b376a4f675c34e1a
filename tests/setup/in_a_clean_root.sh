#!/usr/bin/env bash
# The deb, in a root of its own: this machine's, with everything that is written kept apart from it.
#
#   unshare -m bash in_a_clean_root.sh FIRST.deb NEXT.deb STAND_IN
#
# Installs, has an ordinary user set it up and type `claude` in each shell, upgrades, removes, and
# purges; says what is left that should not be.
set -euo pipefail
first=$1 next=$2 stand_in=$3

step() { echo "== $*"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

if [ "${IN_ROOT-}" != 1 ]; then
  work=$(mktemp -d)
  mount -t tmpfs -o mode=755 tmpfs "$work"
  mkdir "$work/upper" "$work/work" "$work/root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
  for directory in /proc /dev /dev/pts; do mount --bind "$directory" "$work/root$directory"; done
  mount -t tmpfs -o mode=1777 tmpfs "$work/root/tmp"
  mkdir "$work/root/tmp/given" && mount --bind "$work/upper" "$work/root/mnt"
  cp "$first" "$work/root/tmp/given/first.deb"
  cp "$next" "$work/root/tmp/given/next.deb"
  cp "$stand_in" "$work/root/usr/local/bin/claude"
  chmod 755 "$work/root/usr/local/bin/claude" "$work/root/tmp/given"
  cp "$0" "$work/root/tmp/given/script"
  status=0
  IN_ROOT=1 chroot "$work/root" bash /tmp/given/script /tmp/given/first.deb /tmp/given/next.deb - || status=$?
  umount -l "$work" && rmdir "$work"
  exit "$status"
fi

home=/home/ordinary
shells=(bash zsh fish)

# With nothing of this machine's user; PATH as a login has it.
as_user() {
  runuser -u ordinary -- env -i HOME="$home" USER=ordinary SHELL=/bin/bash TERM=dumb LANG=C.UTF-8 \
    PATH=/usr/local/bin:/usr/bin:/bin "$@"
}

# What a shell on a terminal says to a typed line.
typed() {
  printf '%s\nexit\n' "$2" | as_user script -qec "$1 -i" /dev/null | tr -d '\r'
}

state_of_home() {
  (cd "$home" && find . -printf '%p %M %u %l\n' && find . -type f -exec sha256sum {} +) | sort
}

# Written since the root was made, but for the books of dpkg and the system.
state_of_root() {
  (cd /mnt && find . -not -path './var/lib/*' -not -path './var/log/*' -not -path './var/cache/*' \
    -not -path "./home/*" -not -path './usr/local/bin/claude' -type f | sort)
}

requests() {
  local wanted=$1 report=
  local deadline=$((SECONDS + 30))
  while [ "$SECONDS" -lt "$deadline" ]; do
    report=$(as_user ccotel report --since today --json || true)
    [[ $report == *'"total":'*"\"requests\":$wanted,"* ]] && return
    sleep 0.1
  done
  fail "$wanted requests should be counted: $report"
}

every_shell_says() {
  for shell in "${shells[@]}"; do
    said=$(typed "$shell" "claude 'in $shell'")
    [[ $said == *"$1: [in $shell]"* ]] || fail "$shell says: $said"
  done
}

useradd --create-home --shell /bin/bash ordinary
as_user mkdir -p "$home/.config/fish" "$home/.config/Code/User" "$home/.claude"
as_user touch "$home/.zshrc"
state_of_root >/tmp/root.before
state_of_home >/tmp/home.before

step "install"
dpkg -i "$first" | tee /tmp/said
grep -q 'ccotel setup' /tmp/said || fail "the line that names ccotel setup is missing"
[ ! -e /etc/systemd/user/default.target.wants/ccotel-agent.service ] || fail "the unit is enabled"
state_of_home | diff /tmp/home.before - || fail "a home was changed by the package"

step "setup"
as_user ccotel setup --yes
grep -q '"claudeCode.claudeProcessWrapper"' "$home/.config/Code/User/settings.json"
every_shell_says counted
requests 3

step "upgrade"
dpkg -i "$next" | tee /tmp/said
! grep -q 'ccotel setup' /tmp/said || fail "an upgrade has nothing to set up"
every_shell_says counted
requests 6

step "remove, with everything of setup's in place"
dpkg -r ccotel
[ ! -e /usr/bin/ccotel ] || fail "the program is there"
every_shell_says plain
said=$(as_user "$home/.local/share/ccotel/shims/ccotel-wrap" echo through)
[ "$said" = through ] || fail "the wrapper says: $said"

step "back again, uninstall, remove: nothing left but data"
dpkg -i "$next" >/dev/null
requests 6
as_user ccotel uninstall
dpkg -r ccotel >/dev/null
state_of_home | grep -v ' \?\./\.local\|\./\.config/ccotel' | diff <(grep -v '\./\.local' /tmp/home.before) - ||
  fail "the home is not as before"
[ -e "$home/.local/share/ccotel/queue.db" ] || fail "the data are gone"
every_shell_says plain

step "purge: nothing left"
dpkg -i "$next" >/dev/null
as_user ccotel uninstall --purge --yes
state_of_home | diff /tmp/home.before - || fail "the home is not as before"
dpkg -P ccotel >/dev/null
state_of_root | diff /tmp/root.before - || fail "the package left something"
! pgrep -u ordinary || fail "a process is left"
step "done"
