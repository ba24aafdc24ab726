# Shared by scripts/up and scripts/down: the processes of one instance, by pid files in its state directory.

instance_use() {  # instance_use DIR: makes `state` absolute
  state=$1
  mkdir -p "$state"
  state=$(cd "$state" && pwd)
}

# running PROGRAM: does the process of its pid file live, and is it ours? (A pid may have gone to somebody else.)
running() {
  local pid
  pid=$(cat "$state/$1.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
  local trace="$state/bin/$1 "
  [ "$1" != podman-service ] || trace="$state/podman/podman.sock"
  { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$trace"
}

# start PROGRAM COMMAND…: in the background, in a session of its own, with its log and pid file.
start() {
  local program=$1; shift
  setsid env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/ "$@" \
    >>"$state/log/$program.log" 2>&1 </dev/null &
  echo $! >"$state/$program.pid"
}

# wait_for PROGRAM WHAT COMMAND…: until COMMAND succeeds; fails with the log's end when PROGRAM ends or a minute passes.
wait_for() {
  local program=$1 what=$2 deadline=$((SECONDS + 60)); shift 2
  until "$@" 2>/dev/null; do
    if ! kill -0 "$(cat "$state/$program.pid")" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
      tail -n 20 "$state/log/$program.log" >&2
      echo "scripts/up: $program did not start (waiting for $what); its last lines are above, all of them in $state/log/$program.log" >&2
      "$root/scripts/down" --state "$state" >/dev/null 2>&1 || true
      exit 1
    fi
    sleep 0.03
  done
}

# port_holder PORT: who listens there, "name (process N)"; nothing when it is free.
port_holder() {
  ss -Hltnp "sport = :$1" 2>/dev/null | head -n 1 |
    sed -nE 's/.*users:\(\("([^"]*)",pid=([0-9]+).*/\1 (process \2)/p;t;s/.*/another program/p'
}

# Copies of the programs and pages: the system user berth may not be able to read the source tree (a clone under /root),
# and a later build must not change what runs.
install_programs() {
  local program
  for program in berthd berth-keeper berth-agent berth; do
    cp -u --remove-destination "$root/build/${BERTH_PRESET:-release}/bin/$program" "$state/bin/$program"
    chmod 755 "$state/bin/$program"
  done
  # What builds conda environments. The packages are large and change with their list only.
  mkdir -p "$state/environments-builder"
  cp -ru --remove-destination "$root/environments/berth-env-builder" "$root/environments/berth_env" "$root/environments/inside" "$state/environments-builder/"
  if [ -f "$root/environments/packages/.berth-requirements" ] &&
    ! cmp -s "$root/environments/packages/.berth-requirements" "$state/environments-builder/packages/.berth-requirements"; then
    rm -rf "$state/environments-builder/packages"
    cp -r "$root/environments/packages" "$state/environments-builder/packages"
  fi
  chmod -R a+rX "$state/environments-builder"
  if [ -d "$root/web/ui/dist" ] && [ "$root/web/ui/dist/.built" -nt "$state/ui/.built" ]; then
    rm -rf "$state/ui"
    cp -r "$root/web/ui/dist" "$state/ui"
    chmod -R a+rX "$state/ui"
  fi
}

# Replaced by upgrades, and still serving what they had: pids of berthds of this instance.
replaced_berthds() {
  local pid
  [ -f "$state/berthd-replaced.pids" ] || return 0
  while read -r pid; do
    if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$state/bin/berthd "; then echo "$pid"; fi
  done <"$state/berthd-replaced.pids"
}

# upgrade_berthd COMMAND…: starts a berthd that takes over from the one that runs, which goes on with the connections that it has.
upgrade_berthd() {
  local old new deadline=$((SECONDS + 60))
  old=$(cat "$state/berthd.pid")
  { replaced_berthds; echo "$old"; } | sort -u >"$state/berthd-replaced.new"
  start berthd "$@" --take-over
  new=$(cat "$state/berthd.pid")
  until curl -fsS --max-time 5 --unix-socket "$state/admin.sock" http://berth/api/v1/status 2>/dev/null | grep -q "\"pid\":$new,"; do
    if ! kill -0 "$new" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
      kill -KILL "$new" 2>/dev/null || true
      echo "$old" >"$state/berthd.pid"
      rm -f "$state/berthd-replaced.new"
      tail -n 5 "$state/log/berthd.log" >&2
      fail "the new berthd could not take over (its last lines are above); the old one goes on"
    fi
    sleep 0.03
  done
  mv "$state/berthd-replaced.new" "$state/berthd-replaced.pids"
  echo "berthd is now process $new; process $old goes on with the connections that it has (berth status)."
}

# stop PROGRAM SECONDS: SIGTERM, then SIGKILL after SECONDS.
stop() {
  local program=$1 pid deadline
  if running "$program"; then
    pid=$(cat "$state/$program.pid")
    kill -TERM "$pid" 2>/dev/null || true
    deadline=$((SECONDS + $2))
    while [ -e "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do
      [ $SECONDS -lt $deadline ] || { kill -KILL "$pid" 2>/dev/null || true; break; }
      sleep 0.03
    done
  fi
  rm -f "$state/$program.pid"
}

# write_configuration ENGINE SSH_PORT WEB_PORT HOST PROCESS_USER CHANNEL_FOLDER…: berth.toml and keeper.toml of this instance.
write_configuration() {
  local any='"0.0.0.0:PORT", "[::]:PORT"' folders='' folder
  for folder in "${@:6}"; do folders+="\"$folder\", "; done
  cat >"$state/berth.toml" <<TOML
# Written by scripts/up; every key is explained in config/berth.example.toml.
[server]
state_dir = "$state/data"
run_dir = "$state/run"
drain = "3s"
[ssh]
listen = [${any//PORT/$2}]
public_host = "$4"
[web]
listen = [${any//PORT/$3}]
ui_dir = "$state/ui"
[admin]
socket = "$state/admin.sock"
[keeper]
socket = "$state/keeper/keeper.sock"
TOML
  cat >"$state/keeper.toml" <<TOML
# Written by scripts/up; every key is explained in config/keeper.example.toml.
socket = "$state/keeper/keeper.sock"
allowed_user = "berth"
instance = "$(instance_name)"
engine = "$1"
homes = "$state/homes"
agent = "$state/bin/berth-agent"
agent_sockets = "$state/run/agents"
[podman]
socket = "$state/podman/podman.sock"
interface_prefix = "b$(instance_name | cut -c1-3)"
[process]
user = "$5"
[environments]
store = "$state/environments"
builder = "$state/environments-builder"
channel_folders = [$folders]
TOML
}

# The name that tells this instance's containers from another's on the same machine.
instance_name() { printf %s "$state" | sha256sum | cut -c1-12; }
