# A network for the nodes of a cluster: a namespace for each, one more with the
# bridge that they are plugged into. Nothing of it is seen from outside. Node i is
# 10.77.0.i; whom it does not hear is a set of its nftables.
#
# Source it, set network_id, call network_create; network_destroy takes away what
# is there.
# shellcheck shell=bash

network_id=
network_count=0

network_namespace() {
  echo "$network_id-n$1"
}

network_address() {
  echo "10.77.0.$1"
}

# in_network I COMMAND...: of node I; the mounts stay those of the caller, which
# `ip netns exec` would hide.
in_network() {
  local namespace
  namespace=$(network_namespace "$1")
  shift
  nsenter --net="/run/netns/$namespace" "$@"
}

network_add_node() {
  local i=$1 namespace
  namespace=$(network_namespace "$i")
  ip netns add "$namespace"
  ip -n "$namespace" link add eth0 type veth peer name "port$i" netns "$network_id-bridge"
  ip -n "$network_id-bridge" link set "port$i" master bridge up
  ip -n "$namespace" address add "$(network_address "$i")/24" dev eth0
  ip -n "$namespace" link set lo up
  ip -n "$namespace" link set eth0 up
  in_network "$i" nft -f - <<'RULES'
table inet nemesis {
  set unheard { type ipv4_addr; }
  chain input {
    type filter hook input priority 0;
    ip saddr @unheard drop
  }
}
RULES
}

# network_create COUNT
network_create() {
  local i
  network_count=$1
  ip netns add "$network_id-bridge"
  ip -n "$network_id-bridge" link add bridge type bridge
  ip -n "$network_id-bridge" link set bridge up
  for ((i = 1; i <= network_count; i++)); do
    network_add_node "$i"
  done
}

network_destroy() {
  local i namespace
  for ((i = 0; i <= network_count; i++)); do
    namespace=$(network_namespace "$i")
    ((i > 0)) || namespace=$network_id-bridge
    [[ ! -e /run/netns/$namespace ]] || ip netns delete "$namespace"
  done
}

# network_deafen I J...: node I hears nothing of nodes J.
network_deafen() {
  local i=$1 j
  shift
  for j in "$@"; do
    in_network "$i" nft add element inet nemesis unheard "{ $(network_address "$j") }"
  done
}

# network_cut "I..." "J...": between the two sides, both ways.
network_cut() {
  local i j
  for i in $1; do
    for j in $2; do
      network_deafen "$i" "$j"
      network_deafen "$j" "$i"
    done
  done
}

# network_slow I RATE: of what node I sends.
network_slow() {
  in_network "$1" tc qdisc replace dev eth0 root tbf rate "$2" burst 16kb latency 300ms
}

# All links are whole and fast.
network_heal() {
  local i
  for ((i = 1; i <= network_count; i++)); do
    in_network "$i" nft flush set inet nemesis unheard
    [[ $(in_network "$i" tc qdisc show dev eth0) != *tbf* ]] ||
      in_network "$i" tc qdisc delete dev eth0 root
  done
}
