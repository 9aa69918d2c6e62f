# The faults of tests/nemesis. Each chooses whom it hits, says so by `tell`, and
# ends by itself or is undone by heal_all.
#
# Source it after network.bash, clients.bash and tools/cluster.bash; node_options are
# the daemon's.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with those

faults=(
  cut_minority cut_leader cut_all deaf mute bridge flapping slow pause pause_leader pause_majority
  kill kill_leader kill_loop kill_all cut_and_kill slow_and_kill transfer_leader lose_disk
)
node_options=()
member_change_s=30 # with a majority that can talk
declare -A is_paused
declare -A has_joined # nodes that did not found the cluster, or do no more

# Random choices repeat with the seed, so they are made in this shell alone: in a
# subshell RANDOM starts anew. Each leaves what it chose in a variable.
rolled=
node=
shuffled=()

# roll N: rolled is from 0 to N - 1.
roll() {
  rolled=$(((RANDOM << 15 | RANDOM) % $1))
}

choose_node() {
  roll "$network_count"
  node=$((rolled + 1))
}

# Any one when nobody says who leads.
choose_leader() {
  choose_node
  node=$(find_leader || echo "$node")
}

choose_leader_or_node() {
  roll 2
  if ((rolled)); then choose_leader; else choose_node; fi
}

shuffle_nodes() {
  local i swap
  mapfile -t shuffled < <(seq "$network_count")
  for ((i = network_count - 1; i > 0; i--)); do
    roll $((i + 1))
    swap=${shuffled[i]}
    shuffled[i]=${shuffled[rolled]}
    shuffled[rolled]=$swap
  done
}

# last_for MIN_MS MAX_MS: the fault is there for as long.
last_for() {
  local ms
  roll $(($2 - $1 + 1))
  ms=$(($1 + rolled))
  sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

# As a list of words.
others_than() {
  local i
  for ((i = 1; i <= network_count; i++)); do
    [[ " $* " == *" $i "* ]] || printf '%s ' "$i"
  done
}

# Whom a node that runs takes for the leader.
find_leader() {
  local i leader
  for ((i = 1; i <= network_count; i++)); do
    [[ -z ${is_paused[$i]-} ]] || continue
    cluster_pid "$i" >/dev/null || continue
    leader=$(timeout -k 1 2 sed -n 's/^leader  *n\([0-9]*\) .*/\1/p' \
      "$cluster_dir/n$i/.keelfs/status" 2>/dev/null) || continue
    [[ -n $leader ]] || continue
    echo "$leader"
    return
  done
  return 1
}

# --- nodes ---

node_start() {
  local how=(cluster_start "$1")
  [[ -z ${has_joined[$1]-} ]] || how=(cluster_join "$1" "$(others_than "$1" | cut -d ' ' -f 1)")
  "${how[@]}" "${node_options[@]}" 2>>"$cluster_dir/log/start" ||
    fail "n$1 does not start: $(tail -n 1 "$cluster_dir/log/start")"
}

# Nodes die by our hand alone.
node_must_run() {
  cluster_pid "$1" >/dev/null ||
    fail "n$1 has ended by itself: $(tail -n 1 "$cluster_dir/log/n$1.log")"
}

node_kill() {
  node_must_run "$1"
  cluster_kill "$1"
}

node_restart() {
  node_kill "$1"
  node_start "$1"
}

node_pause() {
  is_paused[$1]=yes
  cluster_signal STOP "$1"
}

nodes_continue() {
  local i
  for i in "${!is_paused[@]}"; do
    cluster_signal CONT "$i"
  done
  is_paused=()
}

heal_all() {
  local i
  network_heal
  nodes_continue
  for ((i = 1; i <= network_count; i++)); do
    node_must_run "$i"
  done
}

# --- the faults ---

# cut_off NODES: from all others, both ways.
cut_off() {
  # shellcheck disable=SC2086 # a list of words
  network_cut "$1" "$(others_than $1)"
}

fault_cut_minority() {
  local minority
  shuffle_nodes
  minority=${shuffled[*]:0:(network_count - 1) / 2}
  tell "cut off: $minority"
  cut_off "$minority"
  last_for 1000 6000
}

fault_cut_leader() {
  choose_leader
  tell "the leader is cut off: $node"
  cut_off "$node"
  last_for 1000 6000
}

fault_cut_all() {
  local i
  tell "each is on its own"
  for ((i = 1; i <= network_count; i++)); do
    cut_off "$i"
  done
  last_for 500 3000
}

fault_deaf() {
  choose_leader_or_node
  tell "one way: $node hears nobody, and is heard"
  # shellcheck disable=SC2046 # a list of words
  network_deafen "$node" $(others_than "$node")
  last_for 1000 6000
}

fault_mute() {
  local other
  choose_leader_or_node
  tell "one way: $node is not heard, and hears"
  for other in $(others_than "$node"); do
    network_deafen "$other" "$node"
  done
  last_for 1000 6000
}

# Two sides that do not reach each other, and a node that reaches both.
fault_bridge() {
  local half=$(((network_count - 1) / 2))
  shuffle_nodes
  tell "a bridge: ${shuffled[*]:1:half} and ${shuffled[*]:1+half} reach only ${shuffled[0]}"
  network_cut "${shuffled[*]:1:half}" "${shuffled[*]:1+half}"
  last_for 1000 6000
}

fault_flapping() {
  local times
  choose_leader_or_node
  roll 6
  times=$((3 + rolled))
  tell "flapping: $node, $times times"
  while ((times-- > 0)); do
    cut_off "$node"
    last_for 50 900
    network_heal
    last_for 50 600
  done
}

# slow_down I: at one of these.
rates=(64kbit 256kbit 1mbit 4mbit)
slow_down() {
  roll "${#rates[@]}"
  tell "a slow link: $1 sends at ${rates[rolled]}"
  network_slow "$1" "${rates[rolled]}"
}

fault_slow() {
  choose_leader_or_node
  slow_down "$node"
  last_for 2000 7000
}

fault_pause() {
  choose_node
  tell "paused: $node"
  node_pause "$node"
  last_for 500 5000
}

fault_pause_leader() {
  choose_leader
  tell "the leader is paused: $node"
  node_pause "$node"
  last_for 500 5000
}

fault_pause_majority() {
  local chosen
  shuffle_nodes
  chosen=("${shuffled[@]:0:network_count / 2 + 1}")
  tell "paused, a majority: ${chosen[*]}"
  for node in "${chosen[@]}"; do
    node_pause "$node"
  done
  last_for 500 4000
}

fault_kill() {
  choose_node
  tell "kill -9: $node"
  node_kill "$node"
  last_for 100 4000
  node_start "$node"
}

fault_kill_leader() {
  choose_leader
  tell "kill -9 of the leader: $node"
  node_kill "$node"
  last_for 100 4000
  node_start "$node"
}

fault_kill_loop() {
  local times
  roll 3
  times=$((2 + rolled))
  while ((times-- > 0)); do
    choose_leader_or_node
    tell "kill -9 loop: $node"
    node_restart "$node"
    last_for 50 1000
  done
}

fault_kill_all() {
  local i
  tell "kill -9 of all"
  for ((i = 1; i <= network_count; i++)); do
    node_must_run "$i"
    cluster_signal KILL "$i"
  done
  for ((i = 1; i <= network_count; i++)); do
    cluster_kill "$i"
    node_start "$i"
  done
}

# A node returns while it can reach nobody.
fault_cut_and_kill() {
  choose_leader_or_node
  tell "cut off and killed: $node"
  cut_off "$node"
  last_for 200 2000
  node_restart "$node"
  last_for 200 3000
}

fault_slow_and_kill() {
  local other
  choose_leader
  other=$(others_than "$node")
  other=${other%% *}
  slow_down "$node"
  tell "kill -9: $other"
  node_kill "$other"
  last_for 500 3000
  node_start "$other"
  last_for 1000 4000
}

# member I ARGUMENT...: keelctl member, asked of node I.
member() {
  local i=$1
  shift
  in_network "$i" "$clients_bin/keelctl" --endpoint "$(cluster_endpoint "$i")" member "$@" \
    2>>"$cluster_dir/log/members"
}

fault_transfer_leader() {
  choose_node
  tell "leadership goes to $node"
  # It may be away, or no leader be there: nothing depends on it.
  member "$node" transfer-leader "n$node" >/dev/null || true
}

# node_is_out I VIA: asks for it again as long as it is a member.
node_is_out() {
  local list
  list=$(member "$2" list) || return 1
  ! grep -q "^n$1 " <<<"$list" || {
    member "$2" remove "n$1" >/dev/null || true
    return 1
  }
}

# It comes back under its name as a new member, with nothing.
fault_lose_disk() {
  local via
  choose_leader_or_node
  via=$(others_than "$node" | cut -d ' ' -f 1)
  tell "removed, and joins anew with an empty disk: $node"
  heal_all
  cluster_await "$member_change_s" node_is_out "$node" "$via" ||
    fail "n$node cannot be removed, within $member_change_s s; see log/members"
  last_for 0 1000
  cluster_kill "$node"
  rm -rf --one-file-system "$cluster_dir/data/n$node"
  has_joined[$node]=yes
  node_start "$node"
}
