# The figures of tools/bench that have a bar: what a store may take of time and
# space. Each is one function over a cluster of its own; it leaves rows in a table.
#
# Sourced by tools/bench, which starts and stops clusters and jobs and removes what
# is left of them.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # names that tools/bench has, or that it reads

store_figures=(snapshot disk restart election memory)
quick=no

store_thirds=(first second last)
store_rows=()
store_missed=0
mib=$((1 << 20))

# --- small things ---

# Of much or, with --quick, little data.
scaled() {
  if [[ $quick == yes ]]; then echo $(($1 / 10)); else echo "$1"; fi
}

calculate() {
  awk "BEGIN { printf \"%.2f\", $1 }"
}

# KiB as MiB
to_mib() {
  awk '{ printf "%.0f", $1 / 1024 }'
}

# row WHAT MEASURED UNIT BAR: BAR is "< 2", "<= 2", ">= 2", or "" when there is none.
row() {
  local verdict=
  if [[ -n $4 ]]; then
    verdict=ok
    if ! awk "BEGIN { exit !($2 $4) }"; then
      verdict=missed
      store_missed=$((store_missed + 1))
    fi
  fi
  store_rows+=("$(printf '%-58s %12s %-5s %8s  %s' "$1" "$2" "$3" "$4" "$verdict")")
  echo "  ${store_rows[-1]}"
}

print_rows() {
  printf '%-58s %12s %-5s %8s\n' "" measured "" bar
  printf '%s\n' "${store_rows[@]}"
}

# step TEXT: what takes a while now, and what else the machine does.
step() {
  local load
  read -r load _ </proc/loadavg
  echo "$1 (load $load)"
}

now_us() {
  echo "${EPOCHREALTIME/[.,]/}"
}

# Of numbers, a line each: the one in the middle, the lower of two.
median() {
  sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}

largest() {
  sort -n | tail -n 1
}

# --- nodes ---

# status_of I FIELD: from the control directory of node I's mount.
status_of() {
  sed -n "s/^$2  *//p" "$cluster_dir/n$1/.keelfs/status"
}

knows_leader() {
  [[ $(status_of "$1" leader) =~ ^n[0-9]+\  ]]
}

# leader_seen_by I: a number, as soon as one is known.
leader_seen_by() {
  local text
  cluster_await 20 knows_leader "$1" || fail "n$1 knows no leader"
  text=$(status_of "$1" leader)
  [[ $text =~ ^n([0-9]+)\  ]] && echo "${BASH_REMATCH[1]}"
}

# Entries in node I's log.
log_entries() {
  local first last
  read -r first _ last < <(status_of "$1" log)
  echo $((last - first + 1))
}

# endpoints_of I,...
endpoints_of() {
  local i list text=
  IFS=, read -ra list <<<"$1"
  for i in "${list[@]}"; do
    text+=${text:+,}$(cluster_endpoint "$i")
  done
  echo "$text"
}

# fill I,... ARGUMENT...: puts at these nodes; leaves the line of results in `filled`.
fill() {
  local where=$1
  shift
  run_job "$work/fill" "$bench" fill --keelfs "$(endpoints_of "$where")" "$@"
  filled=$(<"$work/fill")
}

# result NAME: of `filled`.
result() {
  [[ " $filled " =~ \ $1=([0-9.]+)\  ]] || fail "no $1 in '$filled'"
  echo "${BASH_REMATCH[1]}"
}

# await EVENT I,...: leaves when it was in `awaited`, in microseconds.
await() {
  run_job "$work/await" "$bench" await --event "$1" --keelfs "$(endpoints_of "$2")"
  awaited=$(<"$work/await")
}

# --- a follower that missed much ---

# The log of node I begins behind INDEX + 1.
log_is_cut_past() {
  local first
  read -r first _ < <(status_of "$1" log)
  ((first > $2 + 1))
}

last_index() {
  local last
  read -r _ _ last < <(status_of "$1" log)
  echo "$last"
}

figure_snapshot() {
  local value_bytes=65536 count missed_bytes options leader follower stopped_at calm_ms busy_ms
  local writers start_us speed
  count=$(scaled 16384)
  missed_bytes=$((count * value_bytes))
  options=(--log-gc-bytes $((missed_bytes / 4)))
  nodes_up 3 "${options[@]}"
  leader=$(leader_seen_by 1)
  follower=$((leader % 3 + 1))
  stopped_at=$(last_index "$follower")
  cluster_kill "$follower"

  step "snapshot: a follower misses $((missed_bytes / mib)) MiB"
  fill "$leader" --prefix missed --value "$value_bytes" --keys "$count" --count "$count" \
    --in-flight 16
  cluster_await 60 log_is_cut_past "$leader" "$stopped_at" || fail "the log is not cut"
  sleep 5 # for what the store tidies up after that

  step "snapshot: 64 writers without it"
  fill "$leader" --seconds 10 --in-flight 64
  calm_ms=$(result p99_ms)

  step "snapshot: 64 writers, and the follower comes back"
  start_job "$work/writers" "$bench" fill --keelfs "$(endpoints_of "$leader")" --in-flight 64
  writers=$job
  start_us=$(now_us)
  node_up "$follower" "${options[@]}"
  await applied "$leader,$follower"
  kill -TERM "$writers"
  await_job "$writers"
  filled=$(<"$work/writers")
  busy_ms=$(result p99_ms)
  log_is_cut_past "$follower" "$stopped_at" || fail "the follower did not get a snapshot"

  speed=$((missed_bytes / (awaited - start_us)))
  row "a follower that missed $((missed_bytes / mib)) MiB is caught up" "$speed" MB/s ">= 100"
  row "p99 of 64 writers on the leader, without a snapshot" "$calm_ms" ms ""
  row "  and while the snapshot is made and sent" "$busy_ms" ms ""
  row "  ratio" "$(calculate "$busy_ms / $calm_ms")" x "< 3"
}

# --- space on disk ---

# Each second: a line a node, of KiB in its raft and kv directories.
sample_disk() {
  local i
  while sleep 1; do
    for i in 1 2 3; do
      # Files come and go meanwhile.
      du -sk "$cluster_dir/data/n$i/raft" "$cluster_dir/data/n$i/kv" 2>/dev/null |
        awk '{ size[NR] = $1 } END { print size[1], size[2] }'
    done
  done
}

# disk_rows NAME COLUMN BAR: the largest, and each third's least, middle and most.
disk_rows() {
  local lines third i middle=()
  lines=$(wc -l <"$work/disk")
  third=$((lines / 3))
  ((third > 0)) || fail "too short to be sampled"
  row "$1 directory, the largest of the nodes" \
    "$(cut -d' ' -f"$2" "$work/disk" | largest | to_mib)" MiB "< $3"
  for i in 0 1 2; do
    sed -n "$((i * third + 1)),$(((i + 1) * third))p" "$work/disk" | cut -d' ' -f"$2" |
      sort -n >"$work/third"
    middle+=("$(median <"$work/third")")
    row "  ${store_thirds[i]} third: least, median, most" \
      "$(head -n 1 "$work/third" | to_mib)/$(to_mib <<<"${middle[i]}")/$(tail -n 1 "$work/third" | to_mib)" MiB ""
  done
  row "  growth of the median, last third by the second" \
    "$(calculate "${middle[2]} / ${middle[1]}")" x "< 1.2"
}

figure_disk() {
  local limit=10000 puts sampler kept i
  puts=$(scaled 5000000)
  nodes_up 3 --log-gc-count "$limit"
  step "disk: $puts puts of 256 B over 1,000 keys, the log cut at $limit entries"
  start_job "$work/disk" sample_disk
  sampler=$job
  fill "$(leader_seen_by 1)" --seconds 7200 --count "$puts" --keys 1000 --value 256 --in-flight 128
  kill "$sampler"
  await_job "$sampler" || true
  row "$puts puts of 256 B over 1,000 keys" "$(result rate)" /s ""
  row "  puts that failed" "$(result failures)" "" "== 0"
  disk_rows raft 1 256
  disk_rows kv 2 128
  kept=$(for i in 1 2 3; do log_entries "$i"; done | largest)
  row "  entries in the log, the most of the nodes" "$kept" "" "<= $((2 * limit))"
}

# --- restart ---

# restart I...: kills the nodes and starts them at once; leaves in `took_ms` how long it
# took until each of them answered.
restart() {
  local i start_us starts=()
  for i in "$@"; do
    cluster_kill "$i"
  done
  start_us=$(now_us)
  for i in "$@"; do
    start_job "$work/start.$i" node_up "$i"
    starts+=("$job")
  done
  await get "$(IFS=, && echo "$*")"
  for job in "${starts[@]}"; do
    await_job "$job"
  done
  took_ms=$(((awaited - start_us) / 1000))
}

figure_restart() {
  local wanted entries missing i took_ms leader times=()
  wanted=$(scaled 100000)
  nodes_up 3
  leader=$(leader_seen_by 1)
  step "restart: a log of $wanted entries"
  # Commands that wait together share an entry: few at once, and again for what lacks.
  while entries=$(log_entries "$leader") && ((entries < wanted)); do
    missing=$((wanted - entries))
    fill "$leader" --count $((missing > 100 ? missing : 100)) --in-flight 4
  done
  step "restart: $entries entries"
  for i in 1 2 3 1 2 3; do
    restart "$i"
    times+=("$took_ms")
  done
  row "restart of a node with a log of $entries entries, median" \
    "$(printf '%s\n' "${times[@]}" | median)" ms "< 2000"
  row "  the longest" "$(printf '%s\n' "${times[@]}" | largest)" ms "< 2000"
  restart 1 2 3
  row "  of all three at once, with an election" "$took_ms" ms "< 2000"
}

# --- election ---

figure_election() {
  local timeout_ms=500 rounds round leader survivors start_us elected=() served=() waiter
  rounds=10
  [[ $quick == no ]] || rounds=3
  nodes_up 3 --election-timeout "$timeout_ms"
  step "election: the leader is killed $rounds times"
  for ((round = 0; round < rounds; round++)); do
    leader=$(leader_seen_by 1)
    survivors="$((leader % 3 + 1)),$(((leader + 1) % 3 + 1))"
    start_us=$(now_us)
    cluster_kill "$leader"
    start_job "$work/served" "$bench" await --event put --keelfs "$(endpoints_of "${survivors%,*}")"
    waiter=$job
    await leader "$survivors"
    elected+=($(((awaited - start_us) / 1000)))
    await_job "$waiter"
    served+=($((($(<"$work/served") - start_us) / 1000)))
    node_up "$leader" --election-timeout "$timeout_ms"
    await applied "${survivors%,*},${survivors#*,},$leader"
    # It votes again only after an election timeout.
    sleep 1
  done
  row "a new leader after the old one's death, median of $rounds" \
    "$(printf '%s\n' "${elected[@]}" | median)" ms "< $((timeout_ms * 3 / 2))"
  row "  the longest" "$(printf '%s\n' "${elected[@]}" | largest)" ms ""
  row "  a write to a survivor answered, median" \
    "$(printf '%s\n' "${served[@]}" | median)" ms ""
}

# --- memory ---

# memory_rows WHAT: the largest of the nodes.
memory_rows() {
  local i kind
  for i in 1 2 3; do
    cat "/proc/$(cluster_pid "$i")/smaps_rollup"
  done >"$work/memory"
  for kind in Rss Pss; do
    row "$1, ${kind^^}" "$(awk -v kind="$kind:" '$1 == kind { print $2 }' "$work/memory" |
      largest | to_mib)" MiB "< 512"
  done
}

# look_at_all DIR: the size of each file, a dot for each that has the right one. Many
# at once: a look is a linearizable read, of which many share a round.
look_at_all() {
  find "$1" -mindepth 1 -maxdepth 1 -type d -print0 |
    xargs -0 -I '{}' -P 32 find '{}' -type f -size 1 -printf .
}

figure_memory() {
  local files found
  files=$(scaled 1000000)
  nodes_up 3
  step "memory: $files files of 256 B"
  fill "$(leader_seen_by 1)" --count "$files" --keys "$files" --value 256 --in-flight 128
  memory_rows "a node with $files files of 256 B"
  step "memory: each file looked at through a mount"
  run_job "$work/found" look_at_all "$cluster_dir/n1/fill"
  found=$(wc -c <"$work/found")
  ((found == files)) || fail "$found of $files files are there"
  memory_rows "  and after each was looked at through its mount"
}

# --- all of it ---

# store_measure FIGURE...: fails when a bar is missed.
store_measure() {
  local figure
  for figure in "$@"; do
    "figure_$figure"
    nodes_down
  done
  echo
  print_rows
  ((store_missed == 0)) || fail "$store_missed of the figures missed their bar"
}
