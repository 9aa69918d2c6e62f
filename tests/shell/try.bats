#!/usr/bin/env bats
# tools/try as a user meets it. It builds and uses the release preset.

load helper

setup() {
  common_setup
  # A blank in its name, as in a user's home.
  cluster_dir="$BATS_TEST_TMPDIR/a cluster"
}

teardown() {
  "$repo/tools/try" stop --dir "$cluster_dir"
  common_teardown
}

try() {
  "$repo/tools/try" --dir "$cluster_dir" "$@"
}

@test "try brings up three nodes from any directory, shows them, and stop leaves nothing" {
  cd /
  run try
  echo "$output"
  [[ $status -eq 0 ]]
  [[ $output == *$'\nhello\n'* && $output == *$'\ngreeting\n'* ]]
  [[ $(wc -l <"$cluster_dir/endpoints") -eq 3 ]]
  [[ $(cat "$cluster_dir/n3/greeting") == hello ]]
  run "$repo/tools/try" stop --dir "$cluster_dir"
  [[ $status -eq 0 ]]
  not grep -qF "$BATS_TEST_TMPDIR" /proc/self/mountinfo
  not cluster_pid 1
  not cluster_pid 2
  not cluster_pid 3
}

@test "try again finds all of it running, or starts what was killed, and keeps the data" {
  try --nodes 3
  echo kept >"$cluster_dir/n2/file"
  local first
  first=$(cluster_pid 1)
  run try
  [[ $status -eq 0 && $output == *"up already"* ]]
  [[ $(cluster_pid 1) == "$first" ]]
  cluster_kill 1
  run try
  [[ $status -eq 0 && $output == *"1 of 3 nodes started"* ]]
  [[ $(cat "$cluster_dir/n1/file") == kept ]]
  "$repo/tools/try" stop --dir "$cluster_dir"
  try
  [[ $(cat "$cluster_dir/n3/file") == kept ]]
  run try --nodes 2
  [[ $status -ne 0 && $output == *"has 3 nodes"* ]]
  try --clean --nodes 1
  [[ ! -e $cluster_dir/n1/file && $(wc -l <"$cluster_dir/endpoints") -eq 1 ]]
}

@test "stop leaves alone what is not the cluster's" {
  try --nodes 1
  local stranger
  bash -c 'read -r' < <(tail -f /dev/null) &
  stranger=$!
  # A number that another process has got since.
  cluster_kill 1
  echo "$stranger" >"$cluster_dir/data/n1/keelfs.pid"
  "$repo/tools/try" stop --dir "$cluster_dir"
  kill -0 "$stranger"
  kill "$stranger"
}

@test "try says what is wrong with its arguments" {
  run try --nodes 0
  [[ $status -ne 0 && $output == *"--nodes 0"* ]]
  run try --bogus
  [[ $status -ne 0 && $output == *"--bogus"* ]]
}
