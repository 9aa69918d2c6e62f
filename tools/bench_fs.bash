# The figures of tools/bench about the mount: how close it comes to a FUSE file system
# that does nothing but pass on, over the same disk in the same run.
#
# The systems take turns in short rounds, so that what else the machine does meets all of
# them, and a figure is the median of its rounds. What is asked of keelfs is asked of the
# leader's mount and of a follower's; the worse of the two has to hold.
#
# Sourced by tools/bench, which starts and stops clusters and jobs and removes what
# is left of them.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # names that tools/bench has, or that it reads

fs_figures=(stat read ls create overwrite replace untar git stream seen)
fs_rounds=5
fs_heavy_rounds=3
fs_processes=(1 16)
# GlusterFS 10 with three copies on a machine of this kind, for when it is not installed.
fs_gluster_create_elsewhere=(260 322)

fs_systems=(local passthrough leader follower)
declare -A fs_dir=()     # of a system: where it is measured
declare -A fs_endpoint=() # of a node's mount: where it is called
declare -A fs_sample=()  # "SYSTEM FIGURE": what the rounds gave, a line each
declare -A fs_median=()
fs_lines=()
fs_bars=()

# --- the systems ---

passthrough_is_mounted() {
  mountpoint -q "$work/passthrough"
}

passthrough_up() {
  mkdir -p "$work/passthrough.source" "$work/passthrough"
  start_job "$work/passthrough.log" "$bin/bench-passthrough" "$work/passthrough.source" \
    "$work/passthrough" -f
  cluster_await 10 passthrough_is_mounted || fail "the passthrough did not mount"
}

passthrough_down() {
  [[ -n $work ]] || return 0
  ! passthrough_is_mounted || fusermount3 -u "$work/passthrough" ||
    fusermount3 -u -z "$work/passthrough"
}

fs_systems_up() {
  local leader follower
  mkdir "$work/local"
  passthrough_up
  nodes_up 3
  leader=$(leader_seen_by 1)
  follower=$((leader % 3 + 1))
  fs_leader=$leader
  fs_dir=([local]=$work/local [passthrough]=$work/passthrough
    [leader]=$cluster_dir/n$leader/leader [follower]=$cluster_dir/n$follower/follower)
  fs_endpoint=([leader]=$(cluster_endpoint "$leader") [follower]=$(cluster_endpoint "$follower"))
  mkdir "${fs_dir[leader]}" "${fs_dir[follower]}"
  if ! gluster_is_there; then
    echo "GlusterFS is not installed, or in use here: figures of another run stand for it"
  elif gluster_up "$work/gluster"; then
    fs_systems+=(gluster)
    fs_dir[gluster]=$work/gluster/mnt
  else
    tail -n 5 "$work/gluster/log/out" >&2 || true
    echo "GlusterFS did not start: figures of another run stand for it"
    gluster_down
  fi
}

fs_has_gluster() {
  [[ -n ${fs_dir[gluster]-} ]]
}

# --- rounds ---

# of_line NAME TEXT: its value in a line of NAME=VALUE.
of_line() {
  [[ " $2 " =~ \ $1=([0-9.]+)\  ]] || fail "no $1 in '$2'"
  echo "${BASH_REMATCH[1]}"
}

# keep SYSTEM FIGURE VALUE
keep() {
  fs_sample[$1 $2]+=$3$'\n'
}

# settle FIGURE: the medians of its rounds.
settle() {
  local system
  for system in "${fs_systems[@]}" rpc; do
    [[ -z ${fs_sample[$system $1]-} ]] ||
      fs_median[$system $1]=$(printf '%s' "${fs_sample[$system $1]}" | median)
  done
}

# seconds_since US
seconds_since() {
  calculate "($(now_us) - $1) / 1e6"
}

# worse MORE|LESS A B: which of them is better is said first.
worse() {
  awk -v better="$1" -v a="$2" -v b="$3" \
    'BEGIN { print ((better == "more") == (a + 0 < b + 0)) ? a : b }'
}

# of_keelfs MORE|LESS FIGURE: the worse of the two mounts.
of_keelfs() {
  worse "$1" "${fs_median[leader $2]}" "${fs_median[follower $2]}"
}

# fs_line TEXT UNIT FIGURE [FORMAT]: a line of the table of what was measured.
fs_line() {
  local text
  printf -v text '%-38s %-5s' "$1" "$2"
  local system value
  for system in local passthrough leader follower gluster; do
    value=${fs_median[$system $3]-}
    if [[ -n $value ]]; then
      # shellcheck disable=SC2059 # the format is ours
      printf -v value "${4-%.0f}" "$value"
    else
      value=-
    fi
    printf -v value '%12s' "$value"
    text+=$value
  done
  fs_lines+=("$text")
  echo "  $text"
}

# fs_bar TEXT MEASURED UNIT BAR: BAR is ">= 0.8", "<= 2".
fs_bar() {
  local verdict=met
  if ! awk "BEGIN { exit !($2 $4) }"; then
    verdict="not met"
    fs_missed=$((fs_missed + 1))
  fi
  fs_bars+=("$(printf '%-72s %10s %-4s %8s  %s' "$1" "$2" "$3" "$4" "$verdict")")
  echo "  ${fs_bars[-1]}"
}

# fs_op_rounds OP: rates and medians of latency, of 1 process and of many.
fs_op_rounds() {
  local op=$1 processes round system line
  for processes in "${fs_processes[@]}"; do
    step "$op, $processes at once"
    for ((round = 0; round < fs_rounds; round++)); do
      for system in "${fs_systems[@]}"; do
        run_job "$work/round" "$bench" round --mounts "${fs_dir[$system]}/files" \
          --op "$op" --processes "$processes" --seconds 1
        line=$(<"$work/round")
        keep "$system" "$op $processes" "$(of_line rate "$line")"
        keep "$system" "$op $processes us" "$(calculate "$(of_line p50_ms "$line") * 1000")"
      done
      [[ $processes -ne 1 ]] || fs_rpc_round
    done
    settle "$op $processes"
    settle "$op $processes us"
  done
}

# One client's calls, alone on the machine.
fs_rpc_round() {
  local system
  for system in leader follower; do
    run_job "$work/round" "$bench" fill --keelfs "${fs_endpoint[$system]}" --prefix alone \
      --keys 100 --count 200 --in-flight 1
    keep "$system" "put us" "$(calculate "$(of_line p50_ms "$(<"$work/round")") * 1000")"
    run_job "$work/round" "$bench" gets --keelfs "${fs_endpoint[$system]}" --prefix alone \
      --keys 100 --count 200 --in-flight 1
    keep "$system" "get us" "$(calculate "$(of_line p50_ms "$(<"$work/round")") * 1000")"
  done
  settle "put us"
  settle "get us"
}

# --- what is read ---

# fs_reading TEXT OP: against the passthrough.
fs_reading() {
  local processes figure
  fs_op_rounds "$2"
  for processes in "${fs_processes[@]}"; do
    figure="$2 $processes"
    fs_line "$1, $processes at once" /s "$figure"
    # On a machine with other work the median says more than the rate.
    fs_line "  its median" us "$figure us" %.1f
    fs_bar "$1, $processes at once, of the passthrough" \
      "$(calculate "$(of_keelfs more "$figure") / ${fs_median[passthrough $figure]}")" x ">= 0.8"
  done
}

figure_stat() {
  fs_reading "stat" stat
}

figure_read() {
  fs_reading "open+read+close, 256 B" read
}

figure_ls() {
  fs_reading "listing of 1,000 names" ls
}

# --- what is written ---

# fs_gluster_rate OP: with many processes; what it creates stands for the rest.
fs_gluster_rate() {
  if fs_has_gluster; then
    echo "${fs_median[gluster $1 16]}"
  else
    echo "${fs_gluster_create_elsewhere[1]}"
  fi
}

# fs_writing TEXT OP: against the passthrough, GlusterFS and a put.
fs_writing() {
  local text=$1 op=$2 rate system over
  fs_op_rounds "$op"
  fs_line "$text, 1 at once" /s "$op 1"
  fs_line "  its median" us "$op 1 us"
  fs_line "$text, 16 at once" /s "$op 16"
  rate=$(of_keelfs more "$op 16")
  fs_bar "$text, 16 at once, of the passthrough" \
    "$(calculate "$rate / ${fs_median[passthrough $op 16]}")" x ">= 0.4"
  fs_bar "$text, 16 at once, of GlusterFS" \
    "$(calculate "$rate / $(fs_gluster_rate "$op")")" x ">= 8"
  for system in leader follower; do
    over=$(calculate "${fs_median[$system $op 1 us]} - ${fs_median[passthrough $op 1 us]}")
    fs_bar "$text, 1 at once, over the passthrough, of a RawPut ($system)" \
      "$(calculate "$over / ${fs_median[$system put us]}")" x "<= 1"
  done
  fs_line "RawPut alone, median" us "put us"
}

figure_create() {
  fs_writing "create, 256 B" create
}

figure_overwrite() {
  fs_writing "overwrite, 256 B" overwrite
}

figure_replace() {
  fs_writing "write and rename, 256 B" replace
}

# --- programs ---

# fs_make_tree DIR FILES: of 1 KiB, a hundred a directory.
fs_make_tree() {
  local i
  for ((i = 0; i < $2 / 100; i++)); do
    mkdir -p "$1/d$i"
    head -c 102400 /dev/urandom | split -b 1024 -a 3 -d - "$1/d$i/f"
  done
}

figure_untar() {
  local files round system start_us
  files=$(scaled 10000)
  fs_make_tree "$work/tree" "$files"
  tar -C "$work/tree" -cf "$work/tree.tar" .
  rm -rf "$work/tree"
  for ((round = 0; round < fs_heavy_rounds; round++)); do
    for system in "${fs_systems[@]}"; do
      # It takes minutes and its figure is far from the bar.
      [[ $system != gluster || $round -eq 0 ]] || continue
      step "untar of $files files, $system"
      mkdir "${fs_dir[$system]}/untar.$round"
      start_us=$(now_us)
      run_job - tar -C "${fs_dir[$system]}/untar.$round" -xf "$work/tree.tar"
      keep "$system" untar "$(calculate "$files / $(seconds_since "$start_us")")"
    done
  done
  settle untar
  fs_line "untar of $files files" /s untar
  if fs_has_gluster; then
    fs_bar "untar, of GlusterFS" \
      "$(calculate "$(of_keelfs more untar) / ${fs_median[gluster untar]}")" x ">= 8"
  else
    fs_bar "untar, of what GlusterFS creates" \
      "$(calculate "$(of_keelfs more untar) / ${fs_gluster_create_elsewhere[0]}")" x ">= 8"
  fi
}

fs_git() {
  git -c safe.directory='*' -c user.name=bench -c user.email=bench@localhost -c gc.auto=0 "$@"
}

figure_git() {
  local files round system start_us
  files=$(scaled 5000)
  fs_make_tree "$work/origin" "$files"
  fs_git -C "$work/origin" init -q
  fs_git -C "$work/origin" add .
  fs_git -C "$work/origin" commit -q -m files
  for system in "${fs_systems[@]}"; do
    step "git clone of $files files, $system"
    run_job - fs_git clone -q --no-local "$work/origin" "${fs_dir[$system]}/clone"
  done
  step "git status"
  for ((round = 0; round <= fs_rounds; round++)); do
    for system in "${fs_systems[@]}"; do
      start_us=$(now_us)
      run_job "$work/status" fs_git -C "${fs_dir[$system]}/clone" status --porcelain
      [[ ! -s $work/status ]] || fail "the clone on $system is not clean"
      # The first one writes the index.
      [[ $round -eq 0 ]] || keep "$system" git "$(($(now_us) - start_us))"
    done
  done
  settle git
  fs_line "git status, $files files, second run" us git
  fs_bar "git status, second run, of the passthrough's time" \
    "$(calculate "$(of_keelfs less git) / ${fs_median[passthrough git]}")" x "<= 1.5"
}

figure_stream() {
  local mib_count round system start_us file
  mib_count=$(scaled 1024)
  # Nothing that can be compressed.
  head -c "${mib_count}M" /dev/urandom >"$work/random"
  for ((round = 0; round < fs_heavy_rounds; round++)); do
    for system in "${fs_systems[@]}"; do
      step "a stream of $mib_count MiB, $system"
      file=${fs_dir[$system]}/stream
      start_us=$(now_us)
      run_job - dd if="$work/random" of="$file" bs=1M conv=fsync status=none
      keep "$system" "stream write" \
        "$(calculate "$mib_count * $mib / 1e6 / $(seconds_since "$start_us")")"
      start_us=$(now_us)
      run_job - dd if="$file" of=/dev/null bs=1M status=none
      keep "$system" "stream read" \
        "$(calculate "$mib_count * $mib / 1e6 / $(seconds_since "$start_us")")"
      rm "$file"
    done
  done
  settle "stream write"
  settle "stream read"
  fs_line "$mib_count MiB written and fsynced" MB/s "stream write"
  fs_bar "$mib_count MiB written and fsynced, three nodes on one disk" \
    "$(of_keelfs more "stream write")" MB/s ">= 60"
  fs_line "$mib_count MiB read back, cached" MB/s "stream read"
  fs_bar "$mib_count MiB read back, of the passthrough" \
    "$(calculate "$(of_keelfs more "stream read") / ${fs_median[passthrough stream read]}")" x ">= 0.8"
}

# --- between nodes ---

figure_seen() {
  local round system other line
  step "a change on one node, seen on another"
  for ((round = 0; round < fs_rounds; round++)); do
    fs_rpc_round
    for system in leader follower; do
      # Both look at one directory; the other one's mount of it makes the change.
      other=$(other_mount "$system")
      run_job "$work/round" "$bench" seen --mounts "$other,${fs_dir[$system]}" \
        --count "$(scaled 200)"
      line=$(<"$work/round")
      keep "$system" "seen us" "$(calculate "$(of_line p50_ms "$line") * 1000")"
      keep "$system" stale "$(of_line stale "$line")"
    done
  done
  settle "seen us"
  settle stale
  fs_line "a change on another node, seen by open" us "seen us"
  fs_line "RawGet alone, median" us "get us"
  for system in leader follower; do
    fs_bar "a change on another node, seen by open, of a RawGet ($system)" \
      "$(calculate "${fs_median[$system seen us]} / ${fs_median[$system get us]}")" x "<= 1"
    fs_bar "  opens that did not see it ($system)" "${fs_median[$system stale]}" "" "<= 0"
  done
}

# other_mount SYSTEM: its directory through the third node.
other_mount() {
  local i
  for i in 1 2 3; do
    [[ ${fs_dir[leader]} == */n$i/* || ${fs_dir[follower]} == */n$i/* ]] ||
      echo "$cluster_dir/n$i/${fs_dir[$1]##*/}"
  done
}

# --- all of it ---

# fs_measure FIGURE...: fails when a bar is missed.
fs_measure() {
  local figure fs_leader fs_missed=0
  if [[ $quick == yes ]]; then
    fs_rounds=1
    fs_heavy_rounds=1
  fi
  fs_systems_up
  for figure in "$@"; do
    "figure_$figure"
  done
  [[ $(leader_seen_by 1) == "$fs_leader" ]] ||
    echo "another node leads now: what is said of the leader is said of a follower too"
  fs_systems_down || true
  echo
  printf '%-38s %-5s%12s%12s%12s%12s%12s\n' "" "" local passthrough leader follower gluster
  printf '%s\n' "${fs_lines[@]}"
  echo
  printf '%-72s %10s %-4s %8s\n' "" measured "" bar
  printf '%s\n' "${fs_bars[@]}"
  ((fs_missed == 0)) || fail "$fs_missed of the figures missed their bar"
}

fs_systems_down() {
  passthrough_down
  gluster_down
  nodes_down
}
