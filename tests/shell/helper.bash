# What the shell tests share: a cluster of its own for each test, and waiting for
# events instead of sleeping.
#
# KEELFS_BIN is the folder of the daemon and keelctl (default: the release
# build). A test that fails prints the ends of its nodes' logs.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0
export LC_ALL=C

repo=$(realpath "$BATS_TEST_DIRNAME/../..")
bin=${KEELFS_BIN:-$repo/build/release/bin}
# shellcheck source=tools/cluster.bash
source "$repo/tools/cluster.bash"

# --- time ---

now_ms() {
  echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# await SECONDS COMMAND...: fails, saying so, when it does not come true in time.
await() {
  cluster_await "$@" 2>/dev/null || {
    echo "still not true after $1 s: ${*:2}"
    return 1
  }
}

# not COMMAND...: fails when it succeeds (bats does not look at `! COMMAND`).
not() {
  if "$@"; then
    echo "did not fail: $*"
    return 1
  fi
}

# took_at_most MS COMMAND...: runs it; its status, unless it took longer.
took_at_most() {
  local limit=$1 start status=0 ms
  shift
  start=$(now_ms)
  "$@" || status=$?
  ms=$(($(now_ms) - start))
  if ((ms > limit)); then
    echo "took $ms ms, at most $limit: $*"
    return 99
  fi
  return "$status"
}

# --- clusters ---

# A directory for this test; paths of sockets and mounts stay short.
common_setup() {
  umask 022
  cluster_dir=$BATS_TEST_TMPDIR/c
  cluster_keelfs=$bin/keelfs
  cluster_options=(--election-timeout 500) # half of what it is: tests wait for elections
  mkdir -p "$cluster_dir"
  sanitizer_reports=$BATS_TEST_TMPDIR/report
  export ASAN_OPTIONS=detect_leaks=1:log_path=$sanitizer_reports
  export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$sanitizer_reports
}

# make_cluster COUNT [OPTION...]: starts it and waits until every mount answers.
make_cluster() {
  local count=$1 i
  shift
  # Far from tools/try's ports, and from those of another run of the tests.
  cluster_create "$count" $((21000 + RANDOM % 9000))
  for ((i = 1; i <= count; i++)); do
    cluster_start "$i" "$@"
  done
  await_serving
}

await_serving() {
  local i
  for ((i = 1; i <= $(cluster_count); i++)); do
    await 30 cluster_serves "$i"
  done
}

# The path of node I's mount, or of something on it.
on() {
  printf '%s\n' "$cluster_dir/n$1${2:+/$2}"
}

ctl() {
  local i=$1
  shift
  "$bin/keelctl" --endpoint "$(cluster_endpoint "$i")" "$@"
}

# --- other users ---

nobody() {
  setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# Lets other users reach the mount points.
open_the_way() {
  local dir=$cluster_dir
  while [[ $dir != / ]]; do
    chmod a+x "$dir"
    dir=$(dirname "$dir")
  done
}

# --- the end ---

# Stops all nodes in good order, and fails when one had to be killed, a mount or
# a process was left, or a sanitizer found something.
common_teardown() {
  local i report failure=
  if cluster_exists; then
    for ((i = 1; i <= $(cluster_count); i++)); do
      cluster_ask_to_stop "$i"
    done
    for ((i = 1; i <= $(cluster_count); i++)); do
      cluster_await_stop "$i" || failure+="n$i did not stop within $cluster_stop_s s"$'\n'
    done
    for ((i = 1; i <= $(cluster_count); i++)); do
      ! cluster_is_mounted "$i" || failure+="n$i is still mounted"$'\n'
    done
  fi
  for report in "$sanitizer_reports".*; do
    [[ ! -s $report ]] || failure+=$(head -n 60 "$report")$'\n'
  done
  if [[ -n $failure || -z ${BATS_TEST_COMPLETED-} ]]; then
    printf '%s' "$failure"
    tail -n 15 "$cluster_dir"/log/*.log 2>/dev/null
  fi
  [[ -z $failure ]]
}

# --- the cluster's state ---

# status I FIELD: a field of node I's status. Never waits for a majority.
status() {
  sed -n "s/^$2  *//p" "$(on "$1" .keelfs/status)"
}

# The number of the node that leads, as node I sees it.
leader_seen_by() {
  local name
  name=$(status "$1" leader) && [[ $name =~ ^n([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

has_leader() {
  leader_seen_by "$1" >/dev/null
}

# has_applied I INDEX: node I has applied the log up to there.
has_applied() {
  (($(status "$1" applied) >= $2))
}

# await_reads_wait I: a node that has lost its majority goes on to answer reads until
# its lease has ended; then they wait.
await_reads_wait() {
  await 10 reads_wait "$1"
}

reads_wait() {
  ! timeout 0.5 ls "$(on "$1")" >/dev/null 2>&1
}
