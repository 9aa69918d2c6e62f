#!/usr/bin/env bats
# What is cut short while a node receives a snapshot leaves its old state whole.

load helper

setup() {
  common_setup
  options=(--log-gc-count 100 --snapshot-rate 1M)
  recovered=$BATS_TEST_TMPDIR/recovered
}

teardown() {
  local failure=
  ! mountpoint -q "$recovered/mount" || fusermount3 -u -z "$recovered/mount"
  common_teardown || failure=yes
  ! mountpoint -q "$cluster_dir/data/n3" || umount -l "$cluster_dir/data/n3"
  [[ -z $failure ]]
}

# What node 3 has before it is left behind.
write_old() {
  local i
  for ((i = 0; i < 30; i++)); do
    echo "old $i" >"$(on 1 "file-$i")"
  done
  head -c 200000 /dev/zero >"$(on 1 large)"
  await 20 has_applied 3 "$(status 1 applied)"
  applied_before=$(status 3 applied)
}

# The first entry of node I's log.
log_begins_behind() {
  local range
  range=$(status "$1" log)
  ((${range%% *} > $2))
}

# What only the others get: files that change, go and come, so much of it that it
# takes seconds to send, and more entries than their logs keep.
write_new() {
  local i
  for ((i = 0; i < 12; i++)); do
    head -c 1000000 /dev/urandom >"$(on 1 "new-$i")"
  done
  for ((i = 0; i < 300; i++)); do
    echo "new $i" >"$(on 1 "file-$((i % 25))")"
  done
  rm "$(on 1 file-29)" "$(on 1 large)"
  await 60 log_begins_behind 1 "$applied_before"
  await 60 log_begins_behind 2 "$applied_before"
}

node_3_says() {
  grep -q "$1" "$cluster_dir/log/n3.log"
}

recovered_has_stopped() {
  [[ ! -e $recovered/data/keelfs.pid ]] && ! mountpoint -q "$recovered/mount"
}

# Starts a cluster of one from a copy of node 3's data: it has what node 3 had, all
# of it and nothing else.
check_old_state() {
  local i
  mkdir -p "$recovered/mount"
  cp -a "$cluster_dir/data/n3" "$recovered/data"
  rm -f "$recovered"/data/filler
  "$bin/keelctl" recover --data-dir "$recovered/data" --yes
  "$bin/keelfs" --name n3 --data-dir "$recovered/data" --listen "127.0.0.1:$((31000 + RANDOM % 1000))" \
    --log-file "$cluster_dir/log/recovered.log" "$recovered/mount" </dev/null
  for ((i = 0; i < 30; i++)); do
    [[ $(cat "$recovered/mount/file-$i") == "old $i" ]]
  done
  cmp "$recovered/mount/large" <(head -c 200000 /dev/zero)
  [[ $(find "$recovered/mount" -maxdepth 1 -type f | wc -l) -eq 31 ]]
  fusermount3 -u "$recovered/mount"
  await 20 recovered_has_stopped
}

# Node 3 is like the others in the end.
check_new_state() {
  await 60 cluster_serves 3
  cmp "$(on 1 new-11)" "$(on 3 new-11)"
  [[ $(cat "$(on 3 file-24)") == "new 299" && ! -e $(on 3 large) ]]
  ctl 1 --timeout 60000 check
}

@test "kill -9 while a snapshot is received: the old state is whole, the next one is taken" {
  make_cluster 3 "${options[@]}"
  write_old
  cluster_kill 3
  write_new
  cluster_start 3 "${options[@]}"
  await 30 node_3_says 'receiving the snapshot'
  cluster_kill 3
  not node_3_says 'received the snapshot'
  check_old_state
  cluster_start 3 "${options[@]}"
  await 60 node_3_says 'received the snapshot'
  check_new_state
}

# Leaves so many bytes on node 3's disk.
fill_disk() {
  local free
  free=$(df --output=avail -B1 "$cluster_dir/data/n3" | tail -n 1)
  ((free <= $1)) || head -c $((free - $1)) /dev/zero >>"$cluster_dir/data/n3/filler"
}

# The node gives back what it can when its disk is nearly full: that is taken too.
receiving_fails_on_a_full_disk() {
  fill_disk 2000000
  node_3_says 'receiving the snapshot .* failed after'
}

# Node 3 is on a small disk, and is down while the others go on.
leave_behind_on_a_small_disk() {
  mkdir -p "$cluster_dir/data/n3"
  mount -t tmpfs -o size=400M keelfs-test "$cluster_dir/data/n3"
  make_cluster 3 "${options[@]}"
  write_old
  cluster_kill 3
  write_new
}

# With room again node 3 takes the snapshot.
make_room() {
  cluster_kill 3
  check_old_state
  rm "$cluster_dir/data/n3/filler"
  cluster_start 3 "${options[@]}"
  await 60 node_3_says 'received the snapshot'
  check_new_state
}

@test "a disk without room for a snapshot: it is refused, the old state is whole" {
  leave_behind_on_a_small_disk
  fill_disk 24000000
  cluster_start 3 "${options[@]}"
  await 60 node_3_says 'receiving the snapshot .* no room'
  # The node is there, says how it is, and has what it had.
  [[ $(status 3 node) == n3* ]]
  (($(status 3 applied) <= applied_before))
  not node_3_says 'received the snapshot'
  make_room
}

@test "a disk that fills while a snapshot is received: the old state is whole" {
  leave_behind_on_a_small_disk
  cluster_start 3 "${options[@]}"
  await 60 node_3_says 'receiving the snapshot'
  await 60 receiving_fails_on_a_full_disk
  not node_3_says 'received the snapshot'
  make_room
}
