#!/usr/bin/env bats
# Files and directories that are large, or mostly holes.

load helper

setup() {
  common_setup
}

teardown() {
  common_teardown
}

# blocks FILE: KiB that it takes.
blocks() {
  echo $(($(stat -c %b "$1") / 2))
}

# The most memory that node I has had, in MiB.
peak_mib() {
  local key value
  while read -r key value _; do
    [[ $key != VmHWM: ]] || echo $((value / 1024))
  done <"/proc/$(cluster_pid "$1")/status"
}

assert_replicas_equal() {
  run ctl 1 check
  echo "$output"
  [[ $status -eq 0 ]]
}

@test "a file of 64 GiB that is one hole takes no room and goes at once" {
  make_cluster 3
  took_at_most 5000 truncate -s 64G "$(on 1 f)"
  printf end | dd of="$(on 1 f)" bs=1 seek=$(((64 << 30) - 3)) conv=notrunc status=none
  [[ $(tail -c 3 "$(on 2 f)") == end ]]
  [[ $(stat -c %s "$(on 3 f)") -eq $((64 << 30)) ]]
  [[ $(blocks "$(on 3 f)") -eq 16 ]]
  # It would take minutes if the holes were read.
  took_at_most 20000 cp --sparse=auto "$(on 2 f)" "$(on 2 copy)"
  [[ $(tail -c 3 "$(on 1 copy)") == end && $(blocks "$(on 1 copy)") -eq 16 ]]
  not dd if=/dev/zero of="$(on 1 f)" bs=1 count=1 seek=$((64 << 30)) conv=notrunc status=none
  took_at_most 5000 truncate -s 63G "$(on 3 f)"
  [[ $(blocks "$(on 1 f)") -eq 0 ]]
  took_at_most 5000 mv "$(on 2 f)" "$(on 2 copy)"
  took_at_most 5000 rm "$(on 1 copy)"
  assert_replicas_equal
}

@test "holes that are dug, found and copied are the same on every node" {
  local i
  make_cluster 3
  head -c 20M /dev/urandom >"$cluster_dir/want"
  cp "$cluster_dir/want" "$(on 1 f)"
  # More rows than are deleted one by one, and parts of rows at both ends.
  for i in "$cluster_dir/want" "$(on 2 f)"; do
    fallocate --punch-hole --offset 12345 --length $((18 << 20)) "$i"
    fallocate --zero-range --offset $((19 << 20)) --length 100000 "$i"
    fallocate --length $((30 << 20)) "$i"
    truncate -s +5 "$i"
  done
  for ((i = 1; i <= 3; i++)); do
    cmp "$cluster_dir/want" "$(on "$i" f)"
    (($(blocks "$(on "$i" f)") <= 2 << 10))
  done
  cp --sparse=never "$cluster_dir/want" "$(on 3 full)"
  [[ $(blocks "$(on 1 full)") -eq $((30 * 1024)) ]]
  fallocate --dig-holes "$(on 1 full)"
  (($(blocks "$(on 2 full)") <= 2 << 10))
  cmp "$cluster_dir/want" "$(on 3 full)"
  not fallocate --collapse-range --offset 0 --length 16384 "$(on 1 f)"
  assert_replicas_equal
  # What a node replays after a crash deletes the same rows.
  truncate -s 1M "$(on 1 full)"
  rm "$(on 1 f)"
  cluster_kill 3
  cluster_start 3
  await_serving
  assert_replicas_equal
}

@test "a stream of 600 MiB leaves the memory of its node as it was" {
  make_cluster 1
  head -c 600M /dev/zero | tr '\0' x | dd of="$(on 1 f)" bs=1M iflag=fullblock conv=fsync status=none
  [[ $(stat -c %s "$(on 1 f)") -eq $((600 << 20)) ]]
  echo "$(peak_mib 1) MiB"
  (($(peak_mib 1) < 450))
  took_at_most 5000 truncate -s 300M "$(on 1 f)"
  took_at_most 5000 rm "$(on 1 f)"
}

# Makes and removes names between the others, until it is told to stop.
come_and_go() {
  local i
  for ((i = 0; ; i++)); do
    [[ ! -e $cluster_dir/stop ]] || return 0
    : >"$1/name-$((i * 7919 % 300))-x"
    rm "$1/name-$((i * 7919 % 300))-x"
  done
}

@test "a directory that changes shows each name that stays exactly once" {
  local i churn
  make_cluster 3
  mkdir "$(on 1 d)"
  (cd "$(on 1 d)" && seq -f 'name-%g' 0 299 | xargs touch)
  come_and_go "$(on 2 d)" &
  churn=$!
  for ((i = 0; i < 12; i++)); do
    # shellcheck disable=SC2010
    [[ $(ls -f "$(on $((i % 3 + 1)) d)" | grep -c '^name-[0-9]*$') -eq 300 ]]
    find "$(on $((i % 3 + 1)) d)" -name 'name-*' -not -name '*-x' | sort | uniq -d >"$cluster_dir/twice"
    [[ ! -s $cluster_dir/twice ]]
  done
  touch "$cluster_dir/stop"
  wait "$churn"
  rm -r "$(on 3 d)"
  [[ -z $(ls "$(on 1)") ]]
}
