#!/usr/bin/env bash
# The service under a real systemd of this user's, in namespaces of its own; this machine's systemd,
# if it has one, does not notice.
#
#   bash under_systemd.sh        (as root, with HOME, PATH and XDG_RUNTIME_DIR of the test's home)
#
# `claude` on PATH says `counted: …` and sends one request when it was counted.
set -euo pipefail

step() { echo "== $*"; }
fail() {
  echo "FAILED: $*" >&2
  systemctl --user --no-pager status ccotel-agent.service ccotel-agent.socket >&2 || true
  ccotel status >&2 || true
  exit 1
}

# What the manager finds at /sys/fs/cgroup, whichever versions this machine mounts there.
in_namespaces() {
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # A manager of a user's starts only where systemd was booted, by this sign.
  mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system
  local own=/sys/fs/cgroup/ccotel-test-$$ status=0
  local before
  before=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
  mkdir "$own"
  echo $$ >"$own/cgroup.procs"
  unshare -p --fork --kill-child --mount-proc env IN_NAMESPACES=1 bash "$0" || status=$?
  echo $$ >"$before/cgroup.procs"
  find "$own" -depth -type d -exec rmdir {} +
  exit "$status"
}

case ${IN_NAMESPACES-} in
  '') IN_NAMESPACES=mount exec unshare -m bash "$0" ;;
  mount) in_namespaces ;;
esac

# Waits until a command succeeds.
until_true() {
  local deadline=$((SECONDS + 30))
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "never came true: $*"
    sleep 0.05
  done
}

unit() { systemctl --user show --property "$1" --value ccotel-agent.service; }
agent() { ccotel status --json | sed -n 's/^[^}]*"running":true,"pid":\([0-9]*\),.*/\1/p'; }
is_the_units() {
  [ "$(unit ActiveState)" = active ] && [ "$(agent)" = "$(unit MainPID)" ]
}
is_restarted() { is_the_units && [ "$(unit MainPID)" != "$1" ]; }
is_counted() { ccotel report --since today --json | grep -q "\"requests\": \?$1,"; }

typed=0
# `claude` in a shell of this user's, and what it came to.
claude_is_counted() {
  typed=$((typed + 1))
  said=$(claude "number $typed" || true)
  [[ $said == *"counted: [number $typed]"* ]] || fail "claude says: $said"
  until_true is_counted "$typed"
}
claude() { ccotel claude "$@"; }

unset DBUS_SESSION_BUS_ADDRESS
/lib/systemd/systemd --user --log-target=null &
manager=$!
until_true test -S "$XDG_RUNTIME_DIR/systemd/private"

step "setup: the service runs the agent"
ccotel setup --yes --with service
until_true is_the_units
claude_is_counted
ccotel service status

step "the agent dies, and is started again"
first=$(unit MainPID)
kill -9 "$first"
until_true is_restarted "$first"
claude_is_counted

step "a reload hands over to the program that is there now"
first=$(unit MainPID)
systemctl --user reload ccotel-agent.service
claude_is_counted
[ "$(unit MainPID)" = "$first" ] || fail "the unit's process changed"

step "stopped by hand, it comes with the next claude, and the unit waits for its turn"
ccotel agent stop
[ "$(unit ActiveState)" = inactive ] || until_true test "$(unit ActiveState)" = inactive
claude_is_counted
systemctl --user start ccotel-agent.service
[ "$(agent)" != "$(unit MainPID)" ] || fail "two agents would be one"
ccotel agent stop
until_true is_the_units
claude_is_counted

step "taken out"
ccotel service uninstall
[ "$(unit LoadState)" = not-found ] || fail "the unit is $(unit LoadState)"
[ ! -e "$HOME/.config/systemd/user/ccotel-agent.service" ] || fail "its file is there"

step "systemd owns the sockets"
ccotel agent stop
ccotel service install --socket
systemctl --user stop ccotel-agent.service
[ "$(systemctl --user is-active ccotel-agent.socket)" = active ] || fail "no socket"
claude_is_counted
until_true is_the_units

step "a restart refuses no connection"
systemctl --user restart --no-block ccotel-agent.service
address=$(systemctl --user show --property Listen --value ccotel-agent.socket | sed -n 's/^\(127[^ ]*\) .*/\1/p')
for _ in {1..200}; do
  (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") || fail "refused"
done
until_true is_the_units
claude_is_counted

step "uninstall and purge"
ccotel uninstall --purge --yes
[ "$(unit LoadState)" = not-found ] || fail "the unit is $(unit LoadState)"
[ -z "$(systemctl --user list-units --all --plain --no-legend 'ccotel*')" ] || fail "a unit is left"
! pgrep -x ccotel || fail "a process is left"
systemctl --user exit
wait "$manager" || true
step "done"
