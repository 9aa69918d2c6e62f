# The clients of a cluster under attack, and what their histories say afterwards:
# what tests/nemesis and tests/powercut share.
#
# Source it after tools/cluster.bash, with cluster_dir and clients_bin (the folder
# of nemesis-client, keelfs-lin and keelctl) set, and run_on I COMMAND... defined:
# replaces the shell by COMMAND, where node I is.
# shellcheck shell=bash
# shellcheck disable=SC2154 # cluster_dir is of tools/cluster.bash

clients_bin=
clients_pids=()
clients_count=0
clients_end_s=60 # all calls have ended by then
client_read_s=600

# clients_start I GROUPS [OPTION...]: of node I; in each group one by RPC and one
# through the mount.
clients_start() {
  local i=$1 groups=$2 group way
  shift 2
  mkdir -p "$cluster_dir/history"
  for ((group = 0; group < groups; group++)); do
    for way in --endpoint --mount; do
      client_start "$i" "$way" --group "$group" --until "$cluster_dir/enough" "$@" </dev/null
    done
  done
}

# client_start I --endpoint|--mount [OPTION...]: in the background.
client_start() {
  local i=$1 way=$2 where
  shift 2
  clients_count=$((clients_count + 1))
  where=$cluster_dir/n$i
  [[ $way == --mount ]] || where=$(cluster_endpoint "$i")
  (run_on "$i" "$clients_bin/nemesis-client" --process "$clients_count" "$way" "$where" \
    --history "$cluster_dir/history/$clients_count" "$@") 2>>"$cluster_dir/log/clients" &
  clients_pids+=($!)
}

clients_have_ended() {
  local pid
  for pid in "${clients_pids[@]}"; do
    [[ ! -e /proc/$pid || $(ps -o state= -p "$pid") == Z ]] || return 1
  done
}

# clients_await SECONDS: all have ended, and well.
clients_await() {
  local pid status=0
  cluster_await "$1" clients_have_ended || {
    echo "a client does not come back from its call:"
    ps -o pid,state,wchan:24,args -p "$(IFS=, && echo "${clients_pids[*]}")"
    return 1
  }
  for pid in "${clients_pids[@]}"; do
    wait "$pid" || status=$?
  done
  clients_pids=()
  ((status == 0)) || {
    echo "a client has failed:"
    tail -n 5 "$cluster_dir/log/clients"
    return 1
  }
}

clients_stop() {
  touch "$cluster_dir/enough"
  clients_await "$clients_end_s"
}

# By force. Only children of ours are in the list.
clients_kill() {
  local pid
  for pid in "${clients_pids[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  clients_pids=()
}

# Every key that was ever used is read on every node, by RPC and through its mount.
clients_read_all() {
  local i
  awk '{ print $3 }' "$cluster_dir"/history/* | sort -u >"$cluster_dir/keys"
  for ((i = 1; i <= $(cluster_count); i++)); do
    client_start "$i" --endpoint --read-keys <"$cluster_dir/keys"
    client_start "$i" --mount --read-keys <"$cluster_dir/keys"
  done
  clients_await "$client_read_s"
}

# What was asked, and how much of it has an outcome that is not known.
clients_describe() {
  awk '{ kinds[$2]++; ops++; unknown += $6 == "unknown" }
    END {
      printf "%d operations, the outcome of %d unknown:", ops, unknown
      for (kind in kinds) printf " %d %s", kinds[kind], kind
      printf "\n"
    }' "$cluster_dir"/history/*
}

clients_check() {
  "$clients_bin/keelfs-lin" "$cluster_dir"/history/*
}

# The nodes have the same data, at one index.
replicas_check() {
  (run_on 1 "$clients_bin/keelctl" --timeout 60000 --endpoint "$(cluster_endpoint 1)" check)
}
