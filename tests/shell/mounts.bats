#!/usr/bin/env bats
# Three nodes, three mounts: what is written on one is there on the others.

load helper

setup() {
  common_setup
  make_cluster 3
}

teardown() {
  common_teardown
}

# bats test_tags=smoke
@test "a file written on one mount is read on the next and listed on the third" {
  echo hello >"$(on 1 greeting)"
  [[ $(cat "$(on 2 greeting)") == hello ]]
  [[ $(ls "$(on 3)") == greeting ]]
  rm "$(on 3 greeting)"
  [[ ! -e $(on 1 greeting) ]]
  [[ -z $(ls "$(on 2)") ]]
}

# bats test_tags=smoke
@test "every change is seen by the very next call on another mount" {
  local i
  for ((i = 0; i < 50; i++)); do
    echo "$i" >"$(on $((i % 3 + 1)) counter)"
    [[ $(cat "$(on $(((i + 1) % 3 + 1)) counter)") == "$i" ]]
    [[ $(stat -c %s "$(on $(((i + 2) % 3 + 1)) counter)") -eq $((${#i} + 1)) ]]
  done
}

@test "status names the node, the leader and the members" {
  await 10 has_leader 1
  run cat "$(on 2 .keelfs/status)"
  [[ $status -eq 0 ]]
  [[ $output == *n2* && $output == *leader* && $output == *"$(cluster_endpoint 3)"* ]]
}

# append_lines WRITER COUNT: to the one file, through the mount that is its turn.
append_lines() {
  local i
  for ((i = 0; i < $2; i++)); do
    /bin/echo "writer-$1 line-$i abcdefghijklmnopqrstuvwxyz 0123456789" >>"$(on $(($1 % 3 + 1)) log)" || return 1
  done
}

# bats test_tags=smoke
@test "lines appended by 8 writers on three mounts are all there, once and untorn" {
  local w i pids=() count=100
  for ((w = 0; w < 8; w++)); do
    append_lines "$w" "$count" &
    pids+=($!)
  done
  for ((w = 0; w < 8; w++)); do
    wait "${pids[w]}"
  done
  for ((i = 1; i <= 3; i++)); do
    [[ $(wc -l <"$(on "$i" log)") -eq $((8 * count)) ]]
    run grep -vxE 'writer-[0-7] line-[0-9]+ abcdefghijklmnopqrstuvwxyz 0123456789' "$(on "$i" log)"
    [[ $status -eq 1 && -z $output ]]
    [[ $(sort -u "$(on "$i" log)" | wc -l) -eq $((8 * count)) ]]
    # A writer's own lines keep their order.
    for ((w = 0; w < 8; w++)); do
      grep "^writer-$w " "$(on "$i" log)" | sed 's/.*line-\([0-9]*\) .*/\1/' | sort -nc
    done
  done
}

# race_rounds WRITER ROUNDS COMMAND: in each round, once it has begun, tries
# COMMAND with the path of the prize, and notes when it won.
race_rounds() {
  local w=$1 rounds=$2 round
  shift 2
  for ((round = 0; round < rounds; round++)); do
    # A gate of their own makes the processes set off together.
    touch "$BATS_TEST_TMPDIR/ready-$round-$w"
    until [[ -e $BATS_TEST_TMPDIR/go-$round ]]; do :; done
    if "$@" "$(on $((w % 3 + 1)) "prize-$round")" 2>>"$BATS_TEST_TMPDIR/lost-$w"; then
      echo "$w" >>"$BATS_TEST_TMPDIR/won-$round"
    fi
  done
}

all_ready() {
  local w
  for ((w = 0; w < 8; w++)); do
    [[ -e $BATS_TEST_TMPDIR/ready-$1-$w ]] || return 1
  done
}

# race COMMAND...: 8 processes, and exactly one wins each round.
race() {
  local w round rounds=10 pids=()
  for ((w = 0; w < 8; w++)); do
    race_rounds "$w" "$rounds" "$@" &
    pids+=($!)
  done
  for ((round = 0; round < rounds; round++)); do
    await 20 all_ready "$round"
    touch "$BATS_TEST_TMPDIR/go-$round"
  done
  for ((w = 0; w < 8; w++)); do
    wait "${pids[w]}"
  done
  for ((round = 0; round < rounds; round++)); do
    [[ $(wc -l <"$BATS_TEST_TMPDIR/won-$round") -eq 1 ]]
  done
  # Whoever lost was told why.
  [[ $(cat "$BATS_TEST_TMPDIR"/lost-* | grep -c 'File exists') -eq $((7 * rounds)) ]]
}

create_exclusively() {
  dd if=/dev/null of="$1" conv=excl status=none
}

# bats test_tags=smoke
@test "of 8 processes that race to make a directory on three mounts one wins" {
  race mkdir
}

@test "of 8 processes that race to create a file with O_EXCL one wins" {
  race create_exclusively
}

# make_tree DIR FILES: in each of 20 directories.
make_tree() {
  local d f
  for ((d = 0; d < 20; d++)); do
    mkdir -p "$1/dir-$d/deep/er"
    for ((f = 0; f < $2; f++)); do
      echo "file $f of $d" >"$1/dir-$d/$([[ $((f % 3)) -eq 0 ]] && echo deep/er/)file-$f"
    done
  done
  chmod 640 "$1/dir-0/file-1"
  touch -d '2001-02-03 04:05:06' "$1/dir-1/file-1"
  ln -s ../dir-0/file-1 "$1/dir-2/link"
}

@test "a tree of 600 files copied on one mount is the same on another" {
  make_tree "$BATS_TEST_TMPDIR/tree" 30
  cp -r "$BATS_TEST_TMPDIR/tree" "$(on 1)"
  diff -r --no-dereference "$BATS_TEST_TMPDIR/tree" "$(on 2 tree)"
  [[ $(find "$(on 3 tree)" -type f | wc -l) -eq 600 ]]
  rm -r "$(on 3 tree)"
  [[ -z $(ls "$(on 1)") ]]
}

@test "tar packs and unpacks on the mounts, with modes, times and links" {
  make_tree "$BATS_TEST_TMPDIR/tree" 30
  tar -C "$BATS_TEST_TMPDIR" -cf "$(on 1 tree.tar)" tree
  cmp "$(on 2 tree.tar)" <(cat "$(on 3 tree.tar)")
  tar -C "$(on 2)" -xpf "$(on 3 tree.tar)"
  tar -C "$(on 1)" --compare -f "$(on 1 tree.tar)"
}

# bats test_tags=smoke
@test "sed -i, and writing a new file over the old one as editors do" {
  printf 'one\ntwo\n' >"$(on 1 config)"
  sed -i s/two/three/ "$(on 2 config)"
  [[ $(cat "$(on 3 config)") == $'one\nthree' ]]
  # A backup, a new file, synced and renamed: what vim does.
  cp -p "$(on 1 config)" "$(on 1 config~)"
  dd of="$(on 1 .config.swp)" conv=fsync status=none <<<four
  mv "$(on 1 .config.swp)" "$(on 1 config)"
  [[ $(cat "$(on 2 config)") == four ]]
  [[ $(cat "$(on 3 config~)") == $'one\nthree' ]]
  [[ $(ls -A "$(on 3)") == $'config\nconfig~' ]]
}

@test "a rename is never seen halfway, and a reader elsewhere never sees half a file" {
  local i text pid
  printf '%4000s\n' a >"$(on 1 file)"
  for ((i = 0; i < 100; i++)); do
    printf '%4000s\n' "$i" >"$BATS_TEST_TMPDIR/new"
    cp "$BATS_TEST_TMPDIR/new" "$(on 1 file.new)" && mv "$(on 1 file.new)" "$(on 1 file)"
  done &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    text=$(cat "$(on 2 file)")
    [[ ${#text} -eq 4000 ]]
  done
  wait "$pid"
  [[ $(cat "$(on 3 file)") =~ ^\ *99$ ]]
}

@test "a file of 200 MiB goes through in pieces and is the same elsewhere" {
  local size=$((200 * 1024 * 1024))
  head -c "$size" /dev/urandom >"$BATS_TEST_TMPDIR/big"
  cp "$BATS_TEST_TMPDIR/big" "$(on 1 big)"
  [[ $(stat -c %s "$(on 3 big)") -eq $size ]]
  cmp "$BATS_TEST_TMPDIR/big" "$(on 2 big)"
  truncate -s 1000 "$(on 2 big)"
  cmp <(head -c 1000 "$BATS_TEST_TMPDIR/big") "$(on 3 big)"
}

@test "what RPC puts is a file, and a file is what RPC gets" {
  ctl 1 put dir/key value
  [[ $(cat "$(on 2 dir/key)") == value ]]
  printf 'from the mount' >"$(on 3 dir/file)"
  [[ $(ctl 2 get dir/file) == "from the mount" ]]
  : >"$(on 1 empty)"
  ctl 2 get empty
  run ctl 3 scan dir/
  [[ $output == *dir/file* && $output == *dir/key* ]]
  ctl 3 del dir/key
  [[ ! -e $(on 1 dir/key) ]]
}
