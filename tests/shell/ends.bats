#!/usr/bin/env bats
# Mounts that end under those who use them.

load helper

setup() {
  common_setup
  make_cluster 3
  acks=$BATS_TEST_TMPDIR/acks
  mkdir "$acks"
  writers=()
}

teardown() {
  stop_writers
  common_teardown
}

# Writes one file after the other on node 1 until that fails, and notes each one whose
# close() succeeded. /bin/echo looks at what close() returns.
write_files() {
  local w=$1 i
  for ((i = 0; ; i++)); do
    [[ ! -e $BATS_TEST_TMPDIR/enough ]] || return 0
    /bin/echo "content $w $i" >"w$w-$i" || return 0
    echo "w$w-$i content $w $i" >>"$acks/$w"
  done 2>/dev/null
}

# start_writers: eight, whose working directory is node 1's mount.
start_writers() {
  local w
  for ((w = 0; w < 8; w++)); do
    : >"$acks/$w"
    (cd "$(on 1)" && write_files "$w") 3>&- &
    writers+=($!)
  done
}

stop_writers() {
  touch "$BATS_TEST_TMPDIR/enough"
  ((${#writers[@]} == 0)) || wait "${writers[@]}"
  writers=()
}

all_have_written() {
  local w
  for ((w = 0; w < 8; w++)); do
    (($(wc -l <"$acks/$w") >= $1)) || return 1
  done
}

all_have_ended() {
  local pid
  for pid in "$@"; do
    [[ ! -e /proc/$pid || $(ps -o state= -p "$pid") == Z ]] || return 1
  done
}

# Every file that was acknowledged is on node I, and right.
nothing_is_missing_on() {
  cut -d' ' -f1 "$acks"/* | sort >"$BATS_TEST_TMPDIR/names"
  cut -d' ' -f2- "$acks"/* | sort >"$BATS_TEST_TMPDIR/want"
  (cd "$(on "$1")" && xargs -d '\n' cat <"$BATS_TEST_TMPDIR/names") | sort >"$BATS_TEST_TMPDIR/have"
  [[ -z $(comm -23 "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/have") ]]
}

# ended_in_good_order I: its log ends so, and says of no error.
ended_in_good_order() {
  local log=$cluster_dir/log/n$1.log
  tail -n 1 "$log" | grep -q ' stopped$' && not grep "keelfs/n$1: error: " "$log" && not cluster_is_mounted "$1"
}

# bats test_tags=smoke
@test "SIGTERM under eight writers: a clean end, and nothing acknowledged is lost" {
  local i
  start_writers
  await 30 all_have_written 10
  cluster_ask_to_stop 1
  await 10 cluster_is_down 1
  await 5 all_have_ended "${writers[@]}"
  stop_writers
  ended_in_good_order 1
  nothing_is_missing_on 2
  cluster_start 1
  await 20 cluster_serves 1
  nothing_is_missing_on 1
}

@test "umount under writers says that the mount is busy, and lazily lets them go on to their end" {
  start_writers
  await 30 all_have_written 10
  run fusermount3 -u "$(on 1)"
  [[ $status -ne 0 && $output == *"busy"* ]]
  cluster_serves 1
  fusermount3 -u -z "$(on 1)"
  not cluster_is_mounted 1
  # They are still in it.
  await 30 all_have_written $(($(cat "$acks"/* | wc -l) / 8 + 10))
  stop_writers
  await 10 cluster_is_down 1
  ended_in_good_order 1
  nothing_is_missing_on 3
}

@test "umount in the middle of a large file: what is there is its beginning" {
  local pid size
  head -c 64M /dev/urandom >"$BATS_TEST_TMPDIR/large"
  cp "$BATS_TEST_TMPDIR/large" "$(on 1 large)" 2>/dev/null 3>&- &
  pid=$!
  await 30 test -s "$(on 2 large)"
  cluster_ask_to_stop 1
  await 15 cluster_is_down 1
  wait "$pid" || true
  size=$(stat -c %s "$(on 2 large)")
  ((size > 0))
  cmp -n "$size" "$BATS_TEST_TMPDIR/large" "$(on 2 large)"
  not cluster_is_mounted 1
}

# waits_in_fuse PID: the process has asked the daemon and has no answer yet.
waits_in_fuse() {
  grep -q request_wait_answer "/proc/$1/wchan"
}

# bats test_tags=smoke
@test "kill -9 of a daemon: who waits is let go at once, and who comes gets ENOTCONN at once" {
  local name pid pids=()
  for name in cat ls touch dd; do
    mkdir "$(on 1 "$name")"
  done
  echo text >"$(on 1 cat/file)"
  # Nobody is answered any more.
  cluster_kill 2
  cluster_kill 3
  await_reads_wait 1
  cat "$(on 1 cat/file)" >"$BATS_TEST_TMPDIR/cat" 2>&1 3>&- &
  pids+=($!)
  ls "$(on 1 ls)" >"$BATS_TEST_TMPDIR/ls" 2>&1 3>&- &
  pids+=($!)
  touch "$(on 1 touch/new)" >"$BATS_TEST_TMPDIR/touch" 2>&1 3>&- &
  pids+=($!)
  dd if=/dev/zero of="$(on 1 dd/new)" bs=1 count=1 >"$BATS_TEST_TMPDIR/dd" 2>&1 3>&- &
  pids+=($!)
  for pid in "${pids[@]}"; do
    await 3 waits_in_fuse "$pid"
  done
  cluster_signal KILL 1
  await 1 all_have_ended "${pids[@]}"
  for name in cat ls touch dd; do
    cat "$BATS_TEST_TMPDIR/$name"
    grep -qE 'Transport endpoint is not connected|Software caused connection abort' "$BATS_TEST_TMPDIR/$name"
  done
  for name in cat 'ls -l' touch mkdir rm; do
    # shellcheck disable=SC2086 # a command and its option
    run took_at_most 500 $name "$(on 1 file)"
    [[ $status -eq 1 || $status -eq 2 ]]
    [[ $output == *"Transport endpoint is not connected"* ]]
  done
}

# bats test_tags=smoke
@test "a restart after kill -9 mounts again over the dead mount that processes are still in" {
  local pid
  echo kept >"$(on 1 file)"
  mkdir "$(on 1 dir)"
  # In it, with a file open.
  (cd "$(on 1 dir)" && exec sleep 60 7<"$(on 1 file)" 3>&-) &
  pid=$!
  exec 7<"$(on 1 file)"
  start_writers
  await 30 all_have_written 10
  cluster_kill 1
  await 5 all_have_ended "${writers[@]}"
  stop_writers
  cluster_start 1
  await 20 cluster_serves 1
  nothing_is_missing_on 1
  nothing_is_missing_on 2
  # What was opened before stays dead, and holds up nothing.
  run cat <&7
  [[ $status -ne 0 && $output == *"Transport endpoint is not connected"* ]]
  exec 7<&-
  [[ $(grep -cF " $(on 1) " /proc/self/mountinfo) -eq 1 ]]
  [[ $(cat "$(on 1 file)") == kept ]]
  kill "$pid"
  wait "$pid" || true
}
