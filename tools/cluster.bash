# Several keelfs nodes on this machine: what tools/try and the shell tests share.
#
# A cluster lives in one directory:
#   endpoints     host:port of each node, a line each; node i is called n<i>
#   founders      how many of them found the cluster, when others joined later
#   n<i>/         its mount
#   data/n<i>/    its data, with keelfs.pid while it runs
#   log/n<i>.log  its log
#
# Source it, set cluster_dir (absolute) and cluster_keelfs (the daemon), call. Only processes are ever signalled whose recorded pid still belongs to a
# keelfs on this cluster's data.
# shellcheck shell=bash

cluster_dir=
cluster_keelfs=
cluster_options=() # of every node
cluster_stop_s=20 # an orderly stop takes no longer

cluster_error() {
  echo "cluster: $*" >&2
  return 1
}

# cluster_await SECONDS COMMAND...: repeats COMMAND until it succeeds.
cluster_await() {
  local deadline_us=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@"; do
    ((${EPOCHREALTIME/[.,]/} < deadline_us)) || return 1
    sleep 0.05
  done
}

# Ports on which something listens, on any address, a line each.
cluster_busy_ports() {
  local table address state hex
  for table in /proc/net/tcp /proc/net/tcp6; do
    [[ -r $table ]] || continue
    # Not from the table itself: the shell reads byte by byte, and the kernel walks
    # all connections for each.
    while read -r _ address _ state _; do
      [[ $state == 0A ]] || continue
      hex=${address##*:}
      echo $((16#$hex))
    done <<<"$(<"$table")"
  done
}

# cluster_free_endpoints COUNT FIRST_PORT: that many, on free ports from FIRST_PORT
# up, a line each.
cluster_free_endpoints() {
  local count=$1 port=$2 busy
  busy=" $(cluster_busy_ports | tr '\n' ' ')"
  while ((count > 0)); do
    ((port <= 65535)) || cluster_error "no free port" || return
    if [[ $busy != *" $port "* ]]; then
      echo "127.0.0.1:$port"
      count=$((count - 1))
    fi
    port=$((port + 1))
  done
}

# cluster_create COUNT FIRST_PORT: names the endpoints of a new cluster.
cluster_create() {
  mkdir -p "$cluster_dir/data" "$cluster_dir/log"
  cluster_free_endpoints "$1" "$2" >"$cluster_dir/endpoints.new" || return
  mv "$cluster_dir/endpoints.new" "$cluster_dir/endpoints"
}

# cluster_add: names the endpoint of one more node, which is to join.
cluster_add() {
  local last
  last=$(tail -n 1 "$cluster_dir/endpoints")
  [[ -e $cluster_dir/founders ]] || cluster_count >"$cluster_dir/founders"
  cluster_free_endpoints 1 $((${last##*:} + 1)) >>"$cluster_dir/endpoints"
}

# cluster_move I: names another endpoint for node I.
cluster_move() {
  local last
  last=$(sort -t: -k2n "$cluster_dir/endpoints" | tail -n 1)
  sed -i "$1s/.*/$(cluster_free_endpoints 1 $((${last##*:} + 1)))/" "$cluster_dir/endpoints"
}

cluster_exists() {
  [[ -s $cluster_dir/endpoints ]]
}

cluster_count() {
  wc -l <"$cluster_dir/endpoints"
}

cluster_endpoint() {
  sed -n "$1p" "$cluster_dir/endpoints"
}

cluster_founders() {
  cat "$cluster_dir/founders" 2>/dev/null || cluster_count
}

# n1=host:port,n2=host:port,... of those that found the cluster.
cluster_members() {
  local i=0 endpoint text=
  while ((i < $(cluster_founders))) && read -r endpoint; do
    i=$((i + 1))
    text+=${text:+,}n$i=$endpoint
  done <"$cluster_dir/endpoints"
  echo "$text"
}

# The pid of node I, when it runs.
cluster_pid() {
  local pid arguments
  { read -r pid <"$cluster_dir/data/n$1/keelfs.pid"; } 2>/dev/null || return 1
  [[ $pid =~ ^[0-9]+$ ]] || return 1
  { arguments=$(tr '\0' '\n' <"/proc/$pid/cmdline"); } 2>/dev/null || return 1
  grep -qxF -- "$cluster_dir/data/n$1" <<<"$arguments" || return 1
  echo "$pid"
}

# Whether a mount, also a dead one, is at node I's mount point.
cluster_is_mounted() {
  local target
  while read -r _ _ _ _ target _; do
    [[ $(printf '%b' "$target") != "$cluster_dir/n$1" ]] || return 0
  done </proc/self/mountinfo
  return 1
}

# cluster_run I [OPTION...]: starts node I, with no option of its own about the
# members; returns when its mount is there.
cluster_run() {
  local i=$1
  shift
  mkdir -p "$cluster_dir/log" "$cluster_dir/data"
  # A dead mount can be neither made nor looked at; the daemon clears it away.
  [[ -d $cluster_dir/n$i ]] || cluster_is_mounted "$i" || mkdir -p "$cluster_dir/n$i"
  "$cluster_keelfs" --name "n$i" --data-dir "$cluster_dir/data/n$i" \
    --log-file "$cluster_dir/log/n$i.log" "${cluster_options[@]}" "$@" "$cluster_dir/n$i" </dev/null
}

# cluster_start I [OPTION...]: the same for a founder of the cluster.
cluster_start() {
  cluster_run "$@" --initial-members "$(cluster_members)"
}

# cluster_join I VIA [OPTION...]: node I asks node VIA to be let in.
cluster_join() {
  local i=$1 via=$2
  shift 2
  cluster_run "$i" --listen "$(cluster_endpoint "$i")" --join "$(cluster_endpoint "$via")" "$@"
}

# cluster_signal SIGNAL I: of the node's process, when it runs.
cluster_signal() {
  local pid
  ! pid=$(cluster_pid "$2") || kill -s "$1" "$pid"
}

cluster_is_down() {
  ! cluster_pid "$1" >/dev/null
}

# cluster_kill I: kill -9, and the process is gone at return. The mount stays, dead.
cluster_kill() {
  cluster_signal KILL "$1"
  cluster_await "$cluster_stop_s" cluster_is_down "$1"
}

# cluster_ask_to_stop I: in good order, also when it is paused. Not the other way
# round: a CONT can meet the end of the process, where the leak checker of a
# sanitizer build stops all threads, and undo that for one of them.
cluster_ask_to_stop() {
  cluster_signal CONT "$1"
  cluster_signal TERM "$1"
}

# cluster_await_stop I: after it was asked to; by force when it takes too long.
# Nothing is left mounted. Fails when force was needed.
cluster_await_stop() {
  local i=$1 forced=0
  if ! cluster_await "$cluster_stop_s" cluster_is_down "$i"; then
    forced=1
    cluster_kill "$i"
  fi
  ! cluster_is_mounted "$i" || fusermount3 -u -z "$cluster_dir/n$i"
  return "$forced"
}

cluster_stop() {
  cluster_ask_to_stop "$1"
  cluster_await_stop "$1"
}

# Whether node I answers on its mount: a listing is a linearizable read, so a
# majority and a leader are there.
cluster_serves() {
  cluster_is_mounted "$1" && timeout 10 ls "$cluster_dir/n$1" >/dev/null 2>&1
}
