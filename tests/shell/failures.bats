#!/usr/bin/env bats
# Nodes that die, stop and return.

load helper

setup() {
  common_setup
  acks=$BATS_TEST_TMPDIR/acks
  mkdir "$acks"
}

op_timeout_ms=5000

# make_impatient_cluster: for tests that wait for calls to time out.
make_impatient_cluster() {
  op_timeout_ms=2000
  make_cluster 3 --op-timeout "$op_timeout_ms"
}

teardown() {
  stop_writers
  common_teardown
}

# Writes one new file after the other through a mount until told to stop, and
# notes each one whose close() succeeded, with the time. /bin/echo looks at what
# close() returns; the shell's own does not.
write_files() {
  local w=$1 i mount
  mount=$(on $((w % 3 + 1)))
  for ((i = 0; ; i++)); do
    [[ ! -e $BATS_TEST_TMPDIR/enough ]] || return 0
    if /bin/echo "content $w $i" >"$mount/w$w-$i"; then
      echo "${EPOCHREALTIME/./} w$w-$i content $w $i" >>"$acks/$w"
    else
      # The node is dead: nothing more can come of this writer.
      stat "$mount" >/dev/null || return 0
    fi
  done 2>/dev/null
}

writers=()

start_writers() {
  local w
  for ((w = 0; w < 16; w++)); do
    : >"$acks/$w"
    write_files "$w" &
    writers+=($!)
  done
}

# Waits for the writers alone: bats has a child of its own that ends with the
# test's time.
stop_writers() {
  touch "$BATS_TEST_TMPDIR/enough"
  ((${#writers[@]} == 0)) || wait "${writers[@]}"
  writers=()
}

# Every writer has written so many files.
all_have_written() {
  local w
  for ((w = 0; w < 16; w++)); do
    (($(wc -l <"$acks/$w") >= $1)) || return 1
  done
}

# Of the writers on mounts other than node I's, each has written since TIME_US.
others_have_written_since() {
  local i=$1 w last
  for ((w = 0; w < 16; w++)); do
    ((w % 3 + 1 != i)) || continue
    read -r last _ < <(tail -n 1 "$acks/$w")
    ((last > $2)) || return 1
  done
}

# The longest that any writer not on node I's mount was held up after TIME_US.
longest_pause_ms() {
  local i=$1 w
  for ((w = 0; w < 16; w++)); do
    ((w % 3 + 1 != i)) || continue
    awk -v from="$2" '
      $1 >= from { if ($1 - (last > from ? last : from) > most) most = $1 - (last > from ? last : from) }
      { last = $1 }
      END { print int(most / 1000) }' "$acks/$w"
  done | sort -n | tail -n 1
}

# missing_on I: acknowledged files that node I does not have, or not right.
missing_on() {
  cut -d' ' -f2 "$acks"/* | sort >"$BATS_TEST_TMPDIR/names"
  cut -d' ' -f3- "$acks"/* | sort >"$BATS_TEST_TMPDIR/want"
  (cd "$(on "$1")" && xargs -d '\n' cat <"$BATS_TEST_TMPDIR/names") | sort >"$BATS_TEST_TMPDIR/have"
  comm -23 "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/have"
}

nothing_is_missing() {
  local i missing
  for i in "$@"; do
    missing=$(missing_on "$i")
    [[ -z $missing ]] || {
      echo "acknowledged, and not on n$i:"
      head -n 5 <<<"$missing"
      return 1
    }
  done
}

# kill_one I: under 16 writers; the others go on, nothing is lost, it comes back.
kill_one() {
  local i=$1 killed_us pause applied
  start_writers
  await 30 all_have_written 20
  killed_us=${EPOCHREALTIME/./}
  cluster_kill "$i"
  await 10 others_have_written_since "$i" $((killed_us + 3000000))
  stop_writers
  pause=$(longest_pause_ms "$i" "$killed_us")
  echo "writes paused for $pause ms"
  ((pause <= 2000))
  nothing_is_missing $((i % 3 + 1)) $(((i + 1) % 3 + 1))

  applied=$(status $((i % 3 + 1)) applied)
  cluster_start "$i"
  await 20 cluster_serves "$i"
  await 20 has_applied "$i" "$applied"
  nothing_is_missing "$i"
}

# bats test_tags=smoke
@test "kill -9 of the leader under 16 writers: a pause of at most 2 s, nothing lost" {
  make_cluster 3
  await 10 has_leader 1
  kill_one "$(leader_seen_by 1)"
}

@test "kill -9 of a follower under 16 writers: a pause of at most 2 s, nothing lost" {
  make_cluster 3
  await 10 has_leader 1
  kill_one $(($(leader_seen_by 1) % 3 + 1))
}

# bats test_tags=smoke
@test "kill -9 of all three: everything acknowledged is there after the restart" {
  local i
  make_cluster 3
  start_writers
  await 30 all_have_written 20
  for i in 1 2 3; do
    cluster_signal KILL "$i"
  done
  stop_writers
  for i in 1 2 3; do
    cluster_kill "$i"
    cluster_start "$i"
  done
  await_serving
  nothing_is_missing 1 2 3
}

# In a directory of its own each, since the kernel lets nobody look a name up in
# a directory while a file is being created there.
make_call_dirs() {
  local name
  for name in cat echo create append ls; do
    mkdir "$(on 1 "$name")"
    echo text >"$(on 1 "$name/file")"
  done
}

# call NAME COMMAND...: in the background; its output, status and time to files.
call() {
  local name=$1
  shift
  {
    run took_at_most $((op_timeout_ms + 1000)) "$@"
    printf '%s\n%s\n' "$status" "$output" >"$BATS_TEST_TMPDIR/call-$name"
  } &
  calls+=($!)
}

# What every call does on node 1's mount without a majority, all at once.
check_calls_time_out() {
  local name calls=()
  call cat cat "$(on 1 cat/file)"
  call echo bash -c "echo text >'$(on 1 echo/file)'"
  call create bash -c "echo text >'$(on 1 create/new)'"
  call append bash -c "/bin/echo text >>'$(on 1 append/file)'"
  call ls ls "$(on 1 ls)"
  # Meanwhile the state can be read.
  took_at_most 1000 cat "$(on 1 .keelfs/status)" >/dev/null
  wait "${calls[@]}"
  for name in cat echo create append ls; do
    cat "$BATS_TEST_TMPDIR/call-$name"
    [[ $(head -n 1 "$BATS_TEST_TMPDIR/call-$name") =~ ^[12]$ ]]
    grep -q 'Connection timed out' "$BATS_TEST_TMPDIR/call-$name"
  done
}

# hold_open NAME [DD OPTION...]: dd has the file open and waits for what to write.
hold_open() {
  local name=$1 fifo=$BATS_TEST_TMPDIR/fifo-$1
  shift
  mkfifo "$fifo"
  env --default-signal=INT dd of="$(on 1 "$name")" bs=5 count=1 conv=notrunc "$@" <"$fifo" >/dev/null 2>&1 3>&- &
  held+=("$!")
  # Its other end: as long as it is open, so is the file, with nothing to read.
  exec {held_fifo}>"$fifo"
  held_fifos+=("$held_fifo")
  await 5 has_file_open "$!" "$(on 1 "$name")"
}

has_file_open() {
  [[ $(readlink "/proc/$1/fd/1") == "$2" ]]
}

# interrupted_at_the_end SIGNAL K: held process number K writes and closes or syncs,
# waits, and is ended by the signal at once.
interrupted_at_the_end() {
  printf 'text\n' >&"${held_fifos[$2]}"
  await 3 waits_in_fuse "${held[$2]}"
  kill -s "$1" "${held[$2]}"
  took_at_most 500 wait_for_end "${held[$2]}"
  # To dd an interrupted close() is none that failed.
  wait "${held[$2]}" || true
}

# hold_files_open: for the next, while there still is a majority.
hold_files_open() {
  held=() held_fifos=()
  for name in INT-close KILL-close; do
    echo before >"$(on 1 "$name")"
    hold_open "$name"
  done
  for name in INT-sync KILL-sync; do
    echo before >"$(on 1 "$name")"
    hold_open "$name" conv=notrunc,fsync
  done
  echo before >"$(on 1 KILL-open)"
  hold_open KILL-open count=2
}

# has_written K: held process number K, and it waits for more.
has_written() {
  grep -qx 'pos:[[:space:]]*5' "/proc/${held[$1]}/fdinfo/1"
}

check_interrupted_ends() {
  local k=0 name
  for name in INT-close KILL-close INT-sync KILL-sync; do
    interrupted_at_the_end "${name%-*}" "$k"
    k=$((k + 1))
  done
  # What it wrote is published, or not, without it.
  printf 'text\n' >&"${held_fifos[k]}"
  await 3 has_written "$k"
  kill -9 "${held[k]}"
  took_at_most 500 wait_for_end "${held[k]}"
}

# waits_in_fuse PID: the process has asked the daemon and has no answer yet.
waits_in_fuse() {
  grep -q request_wait_answer "/proc/$1/wchan"
}

# interrupted SIGNAL COMMAND...: the signal ends the waiting command at once.
interrupted() {
  local signal=$1 pid
  shift
  # Background commands of a shell ignore SIGINT unless told otherwise.
  env --default-signal=INT "$@" >/dev/null 2>&1 &
  pid=$!
  await 3 waits_in_fuse "$pid"
  kill -s "$signal" "$pid"
  took_at_most 500 wait_for_end "$pid"
  not wait "$pid"
}

wait_for_end() {
  cluster_await 10 has_ended "$1"
}

has_ended() {
  [[ ! -e /proc/$1 || $(ps -o state= -p "$1") == Z ]]
}

check_interrupts() {
  interrupted INT cat "$(on 1 cat/file)"
  interrupted INT dd if=/dev/zero of="$(on 1 create/new)" bs=1 count=1
  interrupted INT ls "$(on 1 ls)"
  interrupted KILL cat "$(on 1 cat/file)"
  interrupted KILL touch "$(on 1 create/new)"
}

all_three_work() {
  local i
  for i in 1 2 3; do
    timeout 3 cat "$(on "$i" cat/file)" >/dev/null 2>&1 || return 1
    timeout 3 touch "$(on "$i" "works-$i")" 2>/dev/null || return 1
  done
}

# bats test_tags=smoke
@test "two of three paused: calls end with ETIMEDOUT, ^C works, all works again within 3 s" {
  make_cluster 3
  make_call_dirs
  hold_files_open
  cluster_signal STOP 2
  cluster_signal STOP 3
  await_reads_wait 1
  check_interrupted_ends
  check_calls_time_out
  check_interrupts
  cluster_signal CONT 2
  cluster_signal CONT 3
  await 3 all_three_work
}

@test "two of three killed: calls end with ETIMEDOUT, ^C works, all works again within 3 s" {
  make_impatient_cluster
  make_call_dirs
  hold_files_open
  cluster_kill 2
  cluster_kill 3
  await_reads_wait 1
  check_interrupted_ends
  check_calls_time_out
  check_interrupts
  cluster_start 2
  cluster_start 3
  await 3 all_three_work
}

@test "a node without a majority stops in good order when it is asked to" {
  make_impatient_cluster
  echo text >"$(on 1 file)"
  cluster_kill 2
  cluster_kill 3
  touch "$(on 1 other)" 2>/dev/null &
  await 3 waits_in_fuse $!
  took_at_most 15000 cluster_stop 1
  not cluster_is_mounted 1
  not wait $!
}

@test "a second SIGTERM ends a node that is still stopping" {
  make_impatient_cluster
  cluster_kill 2
  cluster_kill 3
  touch "$(on 1 file)" >/dev/null 2>&1 &
  await 3 waits_in_fuse $!
  cluster_signal TERM 1
  cluster_signal TERM 1
  took_at_most 15000 cluster_await 15 cluster_is_down 1
  not cluster_is_mounted 1
  not wait $!
}

# --- calls that get into each other's way in the kernel ---

@test "without a majority eleven calls in one directory all end after one operation timeout" {
  local name dir calls=()
  make_impatient_cluster
  dir=$(on 1 dir)
  mkdir "$dir"
  echo text >"$dir/file"
  cluster_kill 2
  cluster_kill 3
  await_reads_wait 1
  for name in 1 2 3 4; do
    call "touch-$name" touch "$dir/new-$name"
  done
  call ls ls "$dir"
  call long ls -l "$dir"
  call mkdir mkdir "$dir/dir"
  call rm rm "$dir/file"
  call cat cat "$dir/file"
  call stat stat "$dir/none"
  call mv mv "$dir/file" "$dir/other"
  wait "${calls[@]}"
  for name in touch-{1..4} ls long mkdir rm cat stat mv; do
    cat "$BATS_TEST_TMPDIR/call-$name"
    [[ $(head -n 1 "$BATS_TEST_TMPDIR/call-$name") =~ ^[12]$ ]]
    grep -q 'Connection timed out' "$BATS_TEST_TMPDIR/call-$name"
  done
  # What is started later has waited for nothing yet.
  run took_at_most $((op_timeout_ms - 500)) ls "$dir"
  [[ $status -eq 99 ]]
}

# --- a mount that asked for stale reads ---

# all_read_stale MOUNT: what node 1 has is read through it, soon and without an error.
all_read_stale() {
  [[ $(took_at_most 3000 cat "$1/dir/file") == text ]]
  [[ $(took_at_most 3000 ls "$1/dir") == $'file\nlink' ]]
  [[ $(took_at_most 3000 stat -c %s "$1/dir/file") == 5 ]]
  [[ $(took_at_most 3000 readlink "$1/dir/link") == file ]]
  [[ $(took_at_most 3000 getfattr --only-values -n user.k "$1/dir/file") == v ]]
  not took_at_most 3000 test -e "$1/dir/none"
}

# times_out COMMAND...: with ETIMEDOUT, after the operation timeout.
times_out() {
  run took_at_most $((op_timeout_ms + 2000)) "$@"
  [[ $status -ne 0 && $status -ne 99 && $output == *"Connection timed out"* ]] || {
    echo "status $status: $output"
    return 1
  }
}

# bats test_tags=smoke
@test "stale_reads: without a majority what this node has is read, and writing still times out" {
  local mount
  make_impatient_cluster
  mount=$(on 1)
  mkdir "$mount/dir"
  echo text >"$mount/dir/file"
  ln -s file "$mount/dir/link"
  setfattr -n user.k -v v "$mount/dir/file"
  cluster_stop 1
  cluster_start 1 -o stale_reads --op-timeout "$op_timeout_ms"
  await 20 cluster_serves 1
  # Paused nodes still hold their connections: the leader is lost by its silence.
  cluster_signal STOP 2
  cluster_signal STOP 3
  all_read_stale "$mount"
  times_out mkdir "$mount/other"
  times_out bash -c "/bin/echo more >>'$mount/dir/file'"
  [[ $(took_at_most 3000 cat "$mount/dir/file") == text ]]
  cluster_kill 2
  cluster_kill 3
  all_read_stale "$mount"
  times_out rm "$mount/dir/file"
  # A node that starts without a majority has what it had.
  cluster_kill 1
  cluster_start 1 -o stale_reads --op-timeout "$op_timeout_ms"
  all_read_stale "$mount"
  cluster_start 2
  cluster_start 3
  await_serving
  # With a majority a read is never old.
  local i
  for ((i = 0; i < 20; i++)); do
    echo "$i" >"$(on 2 dir/file)"
    [[ $(cat "$mount/dir/file") == "$i" ]]
  done
}
