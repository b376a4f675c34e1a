#!/usr/bin/env bash
# A package, in a root of its own: this machine's, with everything that is written kept apart from it.
#
#   unshare -mp --fork --kill-child bash in_a_clean_root.sh FIRST NEXT STAND_IN
#
# FIRST and NEXT are both a deb or both an rpm.
#
# Installs, has an ordinary user set it up and type `claude` in each shell, upgrades, removes, and
# purges; says what is left that should not be.
set -euo pipefail
first=$1 next=$2 stand_in=$3 kind=${1##*.}

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
  for directory in /dev /dev/pts; do mount --bind "$directory" "$work/root$directory"; done
  # Of the processes in here alone, all of which end with this one.
  mount -t proc proc "$work/root/proc"
  mount -t tmpfs -o mode=1777 tmpfs "$work/root/tmp"
  mkdir "$work/root/tmp/given" && mount --bind "$work/upper" "$work/root/mnt"
  cp "$first" "$work/root/tmp/given/first.$kind"
  cp "$next" "$work/root/tmp/given/next.$kind"
  cp "$stand_in" "$work/root/usr/local/bin/claude"
  chmod 755 "$work/root/usr/local/bin/claude" "$work/root/tmp/given"
  cp "$0" "$work/root/tmp/given/script"
  status=0
  IN_ROOT=1 chroot "$work/root" bash /tmp/given/script "/tmp/given/first.$kind" "/tmp/given/next.$kind" - || status=$?
  umount -l "$work" && rmdir "$work"
  exit "$status"
fi

# An rpm's requirements are asked of a database that knows nothing of this machine: its libraries are
# Debian's.
if [ "$kind" = rpm ]; then
  install_package() { rpm --dbpath /var/lib/rpm -U --nodeps "$1"; }
  remove_package() { rpm --dbpath /var/lib/rpm -e ccotel; }
  purge_package() { rpm --dbpath /var/lib/rpm -e ccotel; }
else
  install_package() { dpkg -i "$1"; }
  remove_package() { dpkg -r ccotel; }
  purge_package() { dpkg -P ccotel; }
fi

home=/home/ordinary
shells=(bash zsh fish)

# With nothing of this machine's user; PATH as a login has it.
as_user() {
  runuser -u ordinary -- env -i HOME="$home" USER=ordinary SHELL=/bin/bash TERM=dumb LANG=C.UTF-8 \
    PATH=/usr/local/bin:/usr/bin:/bin HISTFILE=/dev/null fish_history= "$@"
}

# What a shell on a terminal says to a typed line.
typed() {
  printf '%s\nexit 0\n' "$2" | as_user script -qec "$1 -i" /dev/null | tr -d '\r'
}

# But for what fish writes whenever it likes.
state_of_home() {
  (cd "$home" && find . -printf '%p %M %u %l\n' && find . -type f -exec sha256sum {} +) |
    grep -v -e ' \?\./\.local/share/fish' -e ' \?\./\.cache' -e 'fish_variables' | sort
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
# Shells make files of their own when they are first started.
for shell in "${shells[@]}"; do typed "$shell" true >/dev/null; done
state_of_root >/tmp/root.before
state_of_home >/tmp/home.before

step "install"
install_package "$first" | tee /tmp/said
grep -q 'ccotel setup' /tmp/said || fail "the line that names ccotel setup is missing"
[ ! -e /etc/systemd/user/default.target.wants/ccotel-agent.service ] || fail "the unit is enabled"
state_of_home | diff /tmp/home.before - || fail "a home was changed by the package"

step "setup"
as_user ccotel setup --yes
grep -q '"claudeCode.claudeProcessWrapper"' "$home/.config/Code/User/settings.json"
every_shell_says counted
requests 3

step "upgrade"
install_package "$next" | tee /tmp/said
! grep -q 'ccotel setup' /tmp/said || fail "an upgrade has nothing to set up"
every_shell_says counted
requests 6

step "remove, with everything of setup's in place"
remove_package
[ ! -e /usr/bin/ccotel ] || fail "the program is there"
every_shell_says plain
said=$(as_user "$home/.local/share/ccotel/shims/ccotel-wrap" echo through)
[ "$said" = through ] || fail "the wrapper says: $said"

step "back again, uninstall, remove: nothing left but data"
install_package "$next" >/dev/null
requests 6
as_user ccotel uninstall
remove_package >/dev/null
state_of_home | grep -v -e '\./\.local' -e '\./\.config/ccotel' | diff <(grep -v '\./\.local' /tmp/home.before) - ||
  fail "the home is not as before"
[ -e "$home/.local/share/ccotel/queue.db" ] || fail "the data are gone"
every_shell_says plain

step "purge: nothing left"
install_package "$next" >/dev/null
as_user ccotel uninstall --purge --yes
state_of_home | diff /tmp/home.before - || fail "the home is not as before"
purge_package >/dev/null
state_of_root | diff /tmp/root.before - || fail "the package left something"
! pgrep -u ordinary || fail "a process is left"
step "done"
