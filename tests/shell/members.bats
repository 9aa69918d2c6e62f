#!/usr/bin/env bats
# Nodes that join, leave, move and are replaced while the cluster serves; disks that
# are lost; a majority that is lost.

load helper

setup() {
  common_setup
}

teardown() {
  stop_writer
  common_teardown
}

# --- a writer ---

writer=

# Writes one new file after the other on node I until told to stop, and notes those
# whose close() succeeded.
write_files() {
  local mount n
  mount=$(on "$1")
  for ((n = 0; ; n++)); do
    [[ ! -e $BATS_TEST_TMPDIR/enough ]] || return 0
    ! /bin/echo "content $n" >"$mount/w$n" || echo "w$n" >>"$BATS_TEST_TMPDIR/acks"
  done 2>/dev/null
}

start_writer() {
  write_files "$1" &
  writer=$!
}

stop_writer() {
  touch "$BATS_TEST_TMPDIR/enough"
  [[ -z $writer ]] || wait "$writer"
  writer=
}

has_written() {
  [[ -e $BATS_TEST_TMPDIR/acks ]] && (($(wc -l <"$BATS_TEST_TMPDIR/acks") >= $1))
}

# Every acknowledged file is on node I.
has_all_files() {
  local mount
  mount=$(on "$1")
  sed 's/^w/content /' "$BATS_TEST_TMPDIR/acks" >"$BATS_TEST_TMPDIR/want"
  (cd "$mount" && xargs cat <"$BATS_TEST_TMPDIR/acks") | diff -q - "$BATS_TEST_TMPDIR/want"
}

# --- members ---

# member VIA NAME: its line of `keelctl member list`, asked of node VIA.
member() {
  ctl "$1" member list | grep "^$2 "
}

is_voter() {
  [[ $(member "$1" "$2") =~ ' voter '|' leader ' ]]
}

is_no_member() {
  local list
  list=$(ctl "$1" member list) && not grep -q "^$2 " <<<"$list" >/dev/null
}

store_id() {
  member "$1" "$2" | awk '{ print $2 }'
}

# A follower, as node 1 sees it.
a_follower() {
  echo $(($(leader_seen_by 1) % 3 + 1))
}

# refuses_to_serve I WORDS COMMAND...: starting node I fails with one line that has
# WORDS; or, when the others tell it only after its mount is there, it ends at once
# and its log says so.
refuses_to_serve() {
  local i=$1 words=$2
  shift 2
  run "$@"
  await 10 cluster_is_down "$i"
  await 10 not_mounted "$i"
  if [[ $status -ne 0 ]]; then
    [[ ${#lines[@]} -eq 1 && $output == keelfs:*"$words"* ]]
  else
    tail -n 20 "$cluster_dir/log/n$i.log" | grep -F "error: " | grep -F "$words"
  fi
}

not_mounted() {
  not cluster_is_mounted "$1" >/dev/null
}

# --- joining ---

# bats test_tags=smoke
@test "a node joins under writes, catches up by snapshot and becomes a voter" {
  make_cluster 3 --log-gc-count 20
  start_writer 1
  await 30 has_written 100
  cluster_add
  cluster_join 4 2 --log-gc-count 20
  await 30 is_voter 1 n4
  await 30 cluster_serves 4
  stop_writer
  has_all_files 4
  grep -q "received the snapshot" "$cluster_dir/log/n4.log"
  echo here >"$(on 4 from4)"
  [[ $(cat "$(on 1 from4)") == here ]]
  ctl 1 check
  # Two of four are no majority: it counts.
  cluster_kill 2
  cluster_kill 3
  run timeout 20 touch "$(on 1 other)"
  [[ $status -ne 0 ]]
  cluster_start 2
  await 30 cluster_serves 4
}

@test "a node that was added by name takes that place" {
  make_cluster 3
  cluster_add
  run ctl 1 member add "n4=$(cluster_endpoint 4)"
  [[ $status -eq 0 && $output == *"keelfs --name n4 --listen $(cluster_endpoint 4) --join "* ]]
  [[ $(member 1 n4) == *"not started yet, becomes a voter" ]]
  cluster_join 4 1
  await 30 is_voter 1 n4
  [[ $(store_id 1 n4) -eq 4 ]]
}

@test "add --wait shows how the node does, and ends with it" {
  local waits=$BATS_TEST_TMPDIR/waits pid status=0
  make_cluster 1
  cluster_add
  "$bin/keelctl" --endpoint "$(cluster_endpoint 1)" member add --wait "n2=$(cluster_endpoint 2)" \
    >"$waits" 3>&- &
  pid=$!
  await 10 grep -q "^n2: not started yet, becomes a voter" "$waits"
  cluster_join 2 1
  wait "$pid"
  [[ $(tail -n 1 "$waits") == "n2 is a voter" ]]
  "$bin/keelctl" --endpoint "$(cluster_endpoint 1)" member add --wait n3=127.0.0.1:1 \
    >"$waits" 2>&1 3>&- &
  pid=$!
  await 10 grep -q "^n3: not started yet" "$waits"
  ctl 2 member remove n3
  wait "$pid" || status=$?
  [[ $status -eq 4 ]]
  [[ $(tail -n 1 "$waits") == "keelctl: member add: n3 was removed meanwhile" ]]
}

is_learner() {
  [[ $(member "$1" "$2") == *" learner "* ]]
}

@test "a learner has all data and no vote until it is promoted" {
  make_cluster 3
  echo text >"$(on 1 file)"
  cluster_add
  cluster_join 4 1 --learner
  await 30 cluster_serves 4
  [[ $(cat "$(on 4 file)") == text ]]
  is_learner 1 n4
  [[ $(status 4 role) == learner ]]
  # Two of three voters go on.
  cluster_kill 2
  await 10 cluster_serves 4
  cluster_start 2
  ctl 1 member promote n4
  is_voter 1 n4
}

@test "a name that is taken cannot join with another directory" {
  make_cluster 3
  cluster_add
  refused=$cluster_dir/data/other
  mkdir "$cluster_dir/m4"
  run "$bin/keelfs" --name n3 --data-dir "$refused" --listen "$(cluster_endpoint 4)" \
    --join "$(cluster_endpoint 1)" "$cluster_dir/m4"
  [[ $status -ne 0 && ${#lines[@]} -eq 1 && $output == "keelfs: cannot join: "*n3* ]]
  cluster_serves 3
}

# --- leaving ---

@test "a removed node ends with one line, its directory is refused, and it can join anew" {
  local i other pid
  make_cluster 3
  i=$(a_follower)
  other=$((i % 3 + 1))
  echo text >"$(on 1 file)"
  run ctl "$other" member remove "n$i"
  [[ $status -eq 0 && $output == *"n$i is no member any more"* ]]
  await 10 cluster_is_down "$i"
  not cluster_is_mounted "$i"
  [[ $(grep -c "was removed from the cluster and stops" "$cluster_dir/log/n$i.log") -eq 1 ]]
  [[ $(tail -n 1 "$cluster_dir/log/n$i.log") == *stopped ]]
  refuses_to_serve "$i" "was removed from" cluster_run "$i"

  await 10 cluster_serves "$other"
  rm -r "$cluster_dir/data/n$i"
  cluster_join "$i" "$other"
  await 30 is_voter "$other" "n$i"
  [[ $(store_id "$other" "n$i") -eq 4 ]]
  await 10 cluster_serves "$i"
  [[ $(cat "$(on "$i" file)") == text ]]
}

@test "a removed node ends with a failure in the foreground" {
  local i other pid status=0
  make_cluster 3
  i=$(a_follower)
  other=$((i % 3 + 1))
  cluster_stop "$i"
  cluster_run "$i" -f 3>&- &
  pid=$!
  await 10 cluster_serves "$i"
  ctl "$other" member remove "n$i"
  wait "$pid" || status=$?
  [[ $status -eq 1 ]]
  not cluster_is_mounted "$i"
}

@test "the leader itself can be removed, and writes go on" {
  local i other
  make_cluster 3
  i=$(leader_seen_by 1)
  other=$((i % 3 + 1))
  start_writer "$other"
  await 30 has_written 20
  ctl "$other" member remove "n$i"
  await 10 cluster_is_down "$i"
  await 10 has_written 60
  stop_writer
  has_all_files $((other % 3 + 1 == i ? i % 3 + 1 : other % 3 + 1))
}

@test "the last voter is not removed" {
  make_cluster 1
  run ctl 1 member remove n1
  [[ $status -eq 4 && ${#lines[@]} -eq 1 ]]
  cluster_serves 1
}

@test "a node that lost its disk is replaced by another" {
  local i other
  make_cluster 3 --log-gc-count 20
  i=$(a_follower)
  other=$((i % 3 + 1))
  start_writer "$other"
  cluster_kill "$i"
  rm -r "$cluster_dir/data/n$i"
  cluster_add
  run ctl "$other" member replace "n$i" "n4=$(cluster_endpoint 4)"
  [[ $status -eq 0 && $output == *"takes the place of n$i"* ]]
  [[ $output != *"$(cluster_endpoint "$i")"* ]]
  cluster_join 4 "$other" --log-gc-count 20
  await 30 is_voter "$other" n4
  is_no_member "$other" "n$i"
  stop_writer
  await 10 cluster_serves 4
  has_all_files 4
  ctl 4 check
}

# --- moving ---

@test "a node that comes back at another address tells the others" {
  local i other
  make_cluster 3
  i=$(a_follower)
  other=$((i % 3 + 1))
  cluster_stop "$i"
  cluster_move "$i"
  cluster_run "$i" --listen "$(cluster_endpoint "$i")" --advertise "$(cluster_endpoint "$i")"
  await 20 reached_at "$other" "n$i" "$(cluster_endpoint "$i")"
  await 20 cluster_serves "$i"
  echo text >"$(on "$i" file)"
  [[ $(cat "$(on "$other" file)") == text ]]
  ctl "$other" check
}

reached_at() {
  [[ $(member "$1" "$2") == *" $3 "* ]]
}

@test "an address that is set by hand is the one that is used" {
  local i other
  make_cluster 3
  i=$(a_follower)
  other=$((i % 3 + 1))
  cluster_stop "$i"
  cluster_move "$i"
  ctl "$other" member set-address "n$i=$(cluster_endpoint "$i")"
  reached_at "$other" "n$i" "$(cluster_endpoint "$i")"
  cluster_run "$i" --listen "$(cluster_endpoint "$i")" --advertise "$(cluster_endpoint "$i")"
  await 20 cluster_serves "$i"
  reached_at "$other" "n$i" "$(cluster_endpoint "$i")"
  run ctl "$other" member set-address "n$i=$(cluster_endpoint "$other")"
  [[ $status -eq 4 ]]
}

@test "the leadership is handed to a member, or to whoever is furthest" {
  local i
  make_cluster 3
  for i in 1 2 3; do
    [[ $(ctl 1 member transfer-leader "n$i") == "n$i leads now." ]]
    await 5 leads "$i"
  done
  run ctl 2 member transfer-leader
  [[ $status -eq 0 && $output =~ ^n[12]\ leads\ now ]]
}

# As the node itself shows, which is up to a tick late.
leads() {
  [[ $(status "$1" role) == leader ]]
}

# --- a wiped disk ---

@test "a wiped disk under its old name is refused, and told how to rejoin" {
  local i other
  make_cluster 3
  i=$(a_follower)
  other=$((i % 3 + 1))
  echo text >"$(on "$other" file)"
  cluster_stop "$i"
  rm -r "$cluster_dir/data/n$i"
  refuses_to_serve "$i" "keelctl member remove n$i" cluster_start "$i"
  echo more >>"$(on "$other" file)"
  [[ $(cat "$(on "$other" file)") == $'text\nmore' ]]

  # As told.
  ctl "$other" member remove "n$i"
  rm -r "$cluster_dir/data/n$i"
  cluster_join "$i" "$other"
  await 30 is_voter "$other" "n$i"
  await 10 cluster_serves "$i"
  [[ $(cat "$(on "$i" file)") == $'text\nmore' ]]
}

# --- comparing ---

@test "check finds equal replicas under writes, and says who cannot be asked" {
  local i
  make_cluster 3
  i=$(a_follower)
  start_writer 1
  await 30 has_written 20
  run ctl 1 check
  [[ $status -eq 0 && $output == *"3 of 3 replicas are equal at index "* ]]
  cluster_kill "$i"
  run ctl $((i % 3 + 1)) check
  [[ $status -eq 2 && $output == *"2 of 3 replicas are equal"* ]]
  [[ $output == *"not known: cannot connect to $(cluster_endpoint "$i")"* ]]
}

# --- a lost majority ---

knows_no_leader() {
  [[ $(status "$1" leader) == "none known"* ]]
}

@test "one survivor of three goes on as a new cluster, and the others are refused" {
  local kept=$cluster_dir/data/n2
  make_cluster 3
  start_writer 1
  await 30 has_written 50
  stop_writer
  cluster_stop 1
  cluster_stop 3
  await 10 knows_no_leader 2
  run ctl 2 --timeout 1000 member remove n1
  [[ $status -eq 3 && $output == *"nothing was changed"* ]]
  run "$bin/keelctl" recover --data-dir "$kept" --yes
  [[ $status -eq 4 && $output == *"in use"* ]]
  cluster_stop 2

  run "$bin/keelctl" recover --data-dir "$kept"
  [[ $status -eq 4 && $output == *"is lost"* && $output == *"recover --data-dir $kept --yes"* ]]
  run "$bin/keelctl" recover --data-dir "$kept" --yes
  [[ $status -eq 0 && $output == *"n2 is the only member of cluster"* ]]
  run cluster_start 2
  [[ $status -ne 0 && $output == *"leave them out"* ]]
  cluster_run 2
  await 20 cluster_serves 2
  has_all_files 2
  [[ $(ctl 2 member list | wc -l) -eq 2 ]]

  # The old ones have no majority, and no place in the new cluster.
  cluster_start 1
  run timeout 20 ls "$(on 1)"
  [[ $status -ne 0 ]]
  cluster_stop 1
  rm -r "$cluster_dir/data/n1"
  cluster_join 1 2
  await 30 is_voter 2 n1
  await 20 cluster_serves 1
  has_all_files 1
  ctl 1 check
}
