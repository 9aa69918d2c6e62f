#!/usr/bin/env bats
# Disks that lie, fail and fill up.

load helper

setup() {
  common_setup
  volumes=()
}

teardown() {
  local failed=0
  common_teardown || failed=1
  ((${#volumes[@]} == 0)) || umount "${volumes[@]}"
  return "$failed"
}

# --- damage ---

# The write-ahead log of instance INSTANCE of node I that is in use.
wal_of() {
  find "$cluster_dir/data/n$1/$2" -name '*.log' -size +0 | sort | tail -n 1
}

# damage FILE: one bit in the middle of it is the other way round.
damage() {
  local at=$(($(stat -c %s "$1") / 2)) byte
  byte=$(od -An -tu1 -j "$at" -N 1 "$1")
  printf '%b' "\\0$(printf %o $((byte ^ 64)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

# damage_tables I INSTANCE: each table of the instance, of which there are some.
damage_tables() {
  local table count=0
  for table in "$cluster_dir/data/n$1/$2"/*.sst; do
    damage "$table"
    count=$((count + 1))
  done
  ((count > 0))
}

# So much that both instances have tables.
write_much() {
  local i
  for ((i = 0; i < 24; i++)); do
    head -c 1M /dev/urandom >"$(on "$1" "much$i")" || return
  done
}

# refuses_to_start I WORDS: says why in its log or to the shell, and nothing is
# mounted.
refuses_to_start() {
  run cluster_start "$1"
  [[ $status -ne 0 ]]
  grep -qF "$2" <<<"$output" "$cluster_dir/log/n$1.log" -h || {
    echo "no word of '$2': $output"
    return 1
  }
  cluster_is_down "$1"
  not cluster_is_mounted "$1"
}

# has_stopped I WORDS: the node's process has ended, and its log says why.
has_stopped() {
  cluster_is_down "$1" && grep -qF "$2" "$cluster_dir/log/n$1.log"
}

kill_all() {
  local i
  for i in "$@"; do
    cluster_kill "$i"
  done
}

start_all() {
  local i
  for i in "$@"; do
    cluster_start "$i"
  done
}

# --- the raft log ---

# bats test_tags=smoke
@test "damage in the middle of the raft log: the node names it and does not start, the others serve" {
  local i
  make_cluster 3
  for ((i = 0; i < 20; i++)); do
    head -c 4K /dev/urandom >"$(on 1 "file$i")"
  done
  cluster_kill 2
  damage "$(wal_of 2 raft)"
  refuses_to_start 2 "data directory $cluster_dir/data/n2/raft is damaged"
  refuses_to_start 2 "data directory $cluster_dir/data/n2/raft is damaged"
  echo after >"$(on 1 after)"
  [[ $(cat "$(on 3 after)") == after ]]
}

@test "a torn tail of the raft log is dropped, and what was acknowledged is there" {
  local leader others log
  make_cluster 3
  echo acknowledged >"$(on 1 file)"
  await 10 has_leader 1
  leader=$(leader_seen_by 1)
  others=$(seq 3 | grep -v "$leader")
  # shellcheck disable=SC2086 # two numbers
  kill_all $others
  run bash -c "/bin/echo torn >'$(on "$leader" torn)'"
  [[ $status -ne 0 ]]
  cluster_kill "$leader"
  log=$(wal_of "$leader" raft)
  truncate -s -5 "$log"
  cluster_start "$leader"
  # shellcheck disable=SC2086
  start_all $others
  await_serving
  [[ $(cat "$(on "$leader" file)") == acknowledged ]]
  echo more >"$(on "$leader" file)"
  [[ $(cat "$(on 1 file)") == more && $(cat "$(on 3 file)") == more ]]
}

@test "a damaged table of the raft log: the node stops when it needs it, the others have all" {
  make_cluster 3
  cluster_kill 3
  write_much 1
  md5sum "$(on 1)"/much* | sed 's,/n1/,/n2/,' >"$BATS_TEST_TMPDIR/sums"
  kill_all 1 2
  damage_tables 1 raft
  # Only node 1 can lead, and must read to node 3 from its log.
  run cluster_start 1
  cluster_start 3
  await 20 has_stopped 1 "data directory $cluster_dir/data/n1/raft is damaged"
  cluster_start 2
  await 20 cluster_serves 2
  await 20 cluster_serves 3
  md5sum --quiet -c "$BATS_TEST_TMPDIR/sums"
}

# --- the data ---

# bats test_tags=smoke
@test "a damaged table of the data: the node stops and serves nothing wrong, the others have all" {
  local i
  make_cluster 3
  write_much 1
  md5sum "$(on 1)"/much* >"$BATS_TEST_TMPDIR/sums"
  cluster_kill 1
  damage_tables 1 kv
  run cluster_start 1
  if [[ $status -eq 0 ]]; then
    for ((i = 0; i < 24; i++)); do
      run timeout 10 md5sum "$(on 1 "much$i")"
      [[ $status -ne 0 ]] || grep -qxF "$output" "$BATS_TEST_TMPDIR/sums"
    done
  fi
  await 10 has_stopped 1 "data directory $cluster_dir/data/n1/kv is damaged"
  sed -i 's,/n1/,/n2/,' "$BATS_TEST_TMPDIR/sums"
  md5sum --quiet -c "$BATS_TEST_TMPDIR/sums"
}

# --- failing writes ---

# fail_syncs PID: from now on each fdatasync() of the process fails, as on a broken disk.
fail_syncs() {
  strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO -p "$1" 3>&- &
  tracer=$!
}

is_traced() {
  ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$1/status"
}

@test "a failed fsync ends the node with a named reason, and nothing acknowledged is lost" {
  local i pid acks=$BATS_TEST_TMPDIR/acks
  make_cluster 3
  pid=$(cluster_pid 1)
  fail_syncs "$pid"
  await 10 is_traced "$pid"
  : >"$acks"
  for ((i = 0; i < 20; i++)); do
    ! /bin/echo "text $i" >"$(on 1 "file$i")" || echo "$i" >>"$acks"
    cluster_pid 1 >/dev/null || break
  done 2>/dev/null
  await 10 has_stopped 1 "stopping, since what is on the disk is unknown now"
  grep -q "cannot write to $cluster_dir/data/n1/raft: .*fdatasync.*Input/output error" "$cluster_dir/log/n1.log"
  wait "$tracer" || true
  cluster_start 1
  await_serving
  while read -r i; do
    [[ $(cat "$(on 1 "file$i")") == "text $i" ]]
    [[ $(cat "$(on 2 "file$i")") == "text $i" ]]
  done <"$acks"
}

# --- a full disk ---

# make_small_disks SIZE: the data of each of three nodes is on a file system of that
# size.
make_small_disks() {
  local i
  ((EUID == 0)) || skip "NOT TESTED: only root can mount a file system"
  for i in 1 2 3; do
    mkdir -p "$cluster_dir/data/n$i"
    mount -t tmpfs -o "size=$1" keelfs-test "$cluster_dir/data/n$i" 2>/dev/null ||
      skip "NOT TESTED: this machine does not let root mount a file system"
    volumes+=("$cluster_dir/data/n$i")
  done
}

# fill_disk I MIB: another's file takes all but so much of node I's.
fill_disk() {
  local free
  free=$(df --output=avail -B 1M "$cluster_dir/data/n$1" | tail -n 1)
  fallocate -l $((free - $2))M "$cluster_dir/data/n$1/filler"
}

make_room() {
  rm "$cluster_dir/data/n$1/filler"
}

# refuses_to_write I: for want of space, in the words of the shell.
refuses_to_write() {
  run timeout 10 bash -c "/bin/echo text >'$(on "$1" refused)'"
  [[ $status -ne 0 && $output == *"No space left on device"* ]]
}

can_write() {
  timeout 10 bash -c "/bin/echo text >'$(on "$1" again)'" 2>/dev/null
}

pids() {
  local i
  for i in 1 2 3; do
    cluster_pid "$i"
  done
}

# bats test_tags=smoke
@test "full disks: writes get ENOSPC, rm works, and all goes on by itself when there is space" {
  local i before
  make_small_disks 400M
  make_cluster 3
  before=$(pids)
  for i in 1 2 3 4; do
    echo "content $i" >"$(on 1 "file$i")"
  done
  for i in 1 2 3; do
    fill_disk "$i" 100
  done
  for i in 1 2 3; do
    await 10 refuses_to_write "$i"
    [[ $(cat "$(on "$i" file4)") == "content 4" ]]
    rm "$(on "$i" "file$i")"
    not test -e "$(on 1 "file$i")"
  done
  : >"$(on 1 file4)"
  [[ ! -s $(on 2 file4) ]]
  for i in 1 2 3; do
    make_room "$i"
  done
  for i in 1 2 3; do
    await 10 can_write "$i"
  done
  [[ $(pids) == "$before" ]]
}

@test "one full disk of three: the others serve, and its node has all when there is space" {
  local i before
  make_small_disks 400M
  make_cluster 3
  before=$(pids)
  await 10 has_leader 1
  i=$(($(leader_seen_by 1) % 3 + 1))
  fill_disk "$i" 20
  await 10 grep -q 'takes nothing into its log' "$cluster_dir/log/n$i.log"
  echo text >"$(on $((i % 3 + 1)) file)"
  [[ $(cat "$(on $(((i + 1) % 3 + 1)) file)") == text ]]
  make_room "$i"
  await 20 can_write "$i"
  [[ $(cat "$(on "$i" file)") == text ]]
  [[ $(pids) == "$before" ]]
}

@test "disks that fill up by what is written: no node dies, and what is removed makes room" {
  local i before
  make_small_disks 400M
  make_cluster 3 --log-gc-bytes 8M
  before=$(pids)
  for ((i = 0; i < 400; i++)); do
    head -c 1M /dev/urandom >"$(on 1 "file$i")" || break
  done 2>/dev/null
  ((i < 400))
  await 10 refuses_to_write 1
  [[ $(pids) == "$before" ]]
  rm -f "$(on 1)"/file*
  await 60 can_write 1
  [[ $(pids) == "$before" ]]
}
