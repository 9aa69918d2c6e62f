#!/usr/bin/env bats
# The control directory from the shell, with and without a majority.

load helper

setup() {
  common_setup
  make_cluster 3
}

teardown() {
  common_teardown
}

# has_line FILE PATTERN: a line of it matches.
has_line() {
  grep -qE -- "$2" "$1"
}

# follow FILE OUT: a reader in the background; returns once it has the file open.
follow() {
  cat "$1" >"$2" &
  reader=$!
  await 10 is_reading "$reader"
}

is_reading() {
  find "/proc/$1/fd" -lname "*/.keelfs/*" 2>/dev/null | grep -q .
}

has_no_leader() {
  local leader
  leader=$(cat "$(on "$1" .keelfs/leader)")
  [[ -z $leader ]]
}

stop_reader() {
  kill "$reader"
  not wait "$reader"
}

@test "a watch on one node tells what is done on another" {
  local out=$BATS_TEST_TMPDIR/out
  mkdir "$(on 1 conf)"
  follow "$(on 2 .keelfs/watch/conf)" "$out"
  echo 1 >"$(on 3 conf/a)"
  mv "$(on 1 conf/a)" "$(on 1 conf/b)"
  await 10 has_line "$out" '^[0-9]+ created conf/a$'
  await 10 has_line "$out" '^[0-9]+ moved-from conf/a$'
  await 10 has_line "$out" '^[0-9]+ moved-to conf/b$'
  stop_reader
}

has_descendant_reading() {
  local child
  for child in $(pgrep -P "$1") "$1"; do
    ! is_reading "$child" || return 0
  done
  return 1
}

@test "the shell waits for a file that is not there yet, and goes on where it was" {
  local version event path
  (head -n 1 "$(on 1 .keelfs/watch/ready)" >"$BATS_TEST_TMPDIR/first") &
  reader=$!
  await 10 has_descendant_reading "$reader"
  touch "$(on 2 ready)"
  wait "$reader"
  read -r version event path <"$BATS_TEST_TMPDIR/first"
  [[ $event == created && $path == ready ]]
  echo x >"$(on 3 ready)"
  rm "$(on 3 ready)"
  # On another node: versions are those of the cluster.
  while read -r version event path; do
    [[ $event != removed ]] || break
  done < <(timeout 20 cat "$(on 3 ".keelfs/watch/ready@$version")")
  [[ $event == removed && $path == ready ]]
}

@test "a history that does not reach back says so" {
  echo 1 >"$(on 1 f)"
  cluster_ask_to_stop 2
  cluster_await_stop 2
  cluster_start 2
  await_serving
  echo 2 >"$(on 1 f)"
  run timeout 20 head -n 1 "$(on 2 .keelfs/watch/f@0)"
  [[ $output =~ ^[0-9]+\ lost\ f$ ]]
}

@test "programs that walk the root do not meet the control directory" {
  echo 1 >"$(on 1 f)"
  [[ $(ls -A "$(on 1)") == f ]]
  [[ -z $(find "$(on 1)" -name '.keelfs*') ]]
  [[ $(du -a "$(on 1)" | wc -l) -eq 2 ]]
  cp -a "$(on 1)/." "$BATS_TEST_TMPDIR/copy"
  [[ $(ls -A "$BATS_TEST_TMPDIR/copy") == f ]]
  [[ $(tar -C "$(on 1)" -c . | tar -t) == $'./\n./f' ]]
  echo 2 >"$BATS_TEST_TMPDIR/copy/g"
  rsync -a --delete "$BATS_TEST_TMPDIR/copy/" "$(on 1)"
  rsync -a --delete "$(on 2)/" "$BATS_TEST_TMPDIR/copy"
  [[ $(ls -A "$BATS_TEST_TMPDIR/copy") == $'f\ng' && -n $(cat "$(on 1 .keelfs/version)") ]]
  not rm -rf "$(on 1 .keelfs)" 2>"$BATS_TEST_TMPDIR/why"
  has_line "$BATS_TEST_TMPDIR/why" 'Operation not permitted'
  (cd "$(on 1)" && rm -rf ./*)
  [[ -z $(ls -A "$(on 1)") && -n $(cat "$(on 1 .keelfs/version)") ]]
}

@test "operations are followed while they happen" {
  local out=$BATS_TEST_TMPDIR/out
  follow "$(on 1 .keelfs/ops)" "$out"
  echo text >"$(on 1 f)"
  await 10 has_line "$out" '\[uid:[0-9]+,gid:[0-9]+,pid:[0-9]+\] create \(f, flags [0-9]+, mode [0-9]+\): OK <[0-9.]+>$'
  await 10 has_line "$out" ' write \(f, 5 at 0\): OK '
  stop_reader
}

@test "without a majority the control directory answers at once" {
  local leader name
  leader=$(leader_seen_by 1)
  echo 1 >"$(on 1 f)"
  cluster_kill 2
  cluster_kill 3
  await 20 has_no_leader 1
  for name in status members leader version metrics events; do
    took_at_most 2000 cat "$(on 1 ".keelfs/$name")" >"$BATS_TEST_TMPDIR/$name"
  done
  has_line "$BATS_TEST_TMPDIR/members" '^n1 [0-9]+ [^ ]+ [a-z]+ self$'
  [[ ! -s $BATS_TEST_TMPDIR/leader ]]
  has_line "$BATS_TEST_TMPDIR/metrics" '^keelfs_raft_has_leader 0$'
  has_line "$BATS_TEST_TMPDIR/events" " leader: n$leader leads in term [0-9]+\$"
  has_line "$BATS_TEST_TMPDIR/events" ' leader: none is known in term [0-9]+$'
  # What waits for the majority is seen to be slow.
  not timeout 10 touch "$(on 1 f)" 2>/dev/null
  has_line "$(on 1 .keelfs/events)" ' slow: [0-9.]+ s, ETIMEDOUT, '
}
