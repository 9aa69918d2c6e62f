#!/usr/bin/env bats
# What people run on a file system: git, a database, archives, editors, a compiler.

load helper

setup() {
  common_setup
  make_cluster 3
}

teardown() {
  common_teardown
}

# --- git ---

# Without the template's example hooks, of which nothing is to be learned.
git_on() {
  local i=$1 dir=$2
  shift 2
  git -c safe.directory='*' -c user.name=t -c user.email=t@example.org -c gc.auto=0 \
    -C "$(on "$i" "$dir")" "$@"
}

# make_history: an origin outside of the mounts, with 40 files and a topic to rebase.
make_history() {
  local git=(git -c user.name=t -c user.email=t@example.org -C "$BATS_TEST_TMPDIR/origin") f
  git init -q -b main --template= "$BATS_TEST_TMPDIR/origin"
  mkdir "$BATS_TEST_TMPDIR/origin/src"
  for ((f = 0; f < 40; f++)); do
    seq "$f" $((f + 200)) >"$BATS_TEST_TMPDIR/origin/src/file-$f"
  done
  "${git[@]}" add .
  "${git[@]}" commit -q -m first
}

@test "git: a clone, a branch rebased on another node, gc on a third, and fsck finds nothing" {
  local topic i
  make_history
  git clone -q --template= "file://$BATS_TEST_TMPDIR/origin" "$(on 1 repo)"
  [[ -z $(git_on 2 repo status --porcelain) ]]

  git_on 1 repo checkout -q -b topic
  for i in 1 2 3; do
    echo "topic $i" >"$(on 1 "repo/topic-$i")"
    sed -i "1s/^/$i /" "$(on 1 "repo/src/file-$i")"
    git_on 1 repo add .
    git_on 1 repo commit -q -m "topic $i"
  done
  git_on 2 repo checkout -q main
  sed -i '$s/$/ on main/' "$(on 2 repo/src/file-1)"
  git_on 2 repo commit -q -a -m main
  git_on 2 repo rebase -q main topic
  [[ $(git_on 3 repo log --format=%s) == $'topic 3\ntopic 2\ntopic 1\nmain\nfirst' ]]
  [[ $(head -n 1 "$(on 3 repo/src/file-1)") == "1 1" ]]
  [[ $(tail -n 1 "$(on 3 repo/src/file-1)") == "201 on main" ]]

  topic=$(git_on 3 repo rev-parse topic)
  git_on 3 repo gc -q --prune=now
  for i in 1 2 3; do
    git_on "$i" repo fsck --full --strict --no-dangling
    [[ -z $(git_on "$i" repo status --porcelain) ]]
    [[ $(git_on "$i" repo rev-parse HEAD) == "$topic" ]]
  done
  # Packed on one node, cloned from another.
  git -c safe.directory='*' clone -q --template= "$(on 1 repo)" "$BATS_TEST_TMPDIR/back"
  diff -r --exclude=.git "$BATS_TEST_TMPDIR/back" "$(on 2 repo)"
}

# --- sqlite ---

sql() {
  sqlite3 -batch -bail -cmd '.timeout 30000' "$@"
}

# count_up DB WRITER COUNT: so many transactions, each of which reads and writes.
count_up() {
  local i
  for ((i = 0; i < $3; i++)); do
    printf "begin immediate; insert into log values(%d, %d, (select n from counter));
      update counter set n = n + 1; commit;\n" "$2" "$i"
  done | sql "$1"
}

@test "sqlite: two processes with a rollback journal lose no transaction" {
  local db pid count=40
  db=$(on 1 db)
  sql "$db" "pragma journal_mode=delete; create table counter(n); insert into counter values(0);
    create table log(writer, i, n unique, primary key(writer, i));" >/dev/null
  count_up "$db" 1 "$count" &
  pid=$!
  count_up "$db" 2 "$count"
  wait "$pid"
  [[ $(sql "$(on 2 db)" "select n from counter; select count(*) from log; pragma integrity_check") == \
    $((2 * count))$'\n'$((2 * count))$'\nok' ]]
  [[ $(ls "$(on 3)") == db ]]
}

@test "sqlite: what a process left half done that was killed is rolled back on another node" {
  local db pid
  db=$(on 1 db)
  sql "$db" "create table t(k integer primary key, v); insert into t
    select value, hex(randomblob(500)) from generate_series(1, 1000);"
  sql "$db" "select * from t order by k" >"$BATS_TEST_TMPDIR/before"
  # Too much for its cache: it writes to the database before the end.
  mkfifo "$BATS_TEST_TMPDIR/script"
  # Not by way of a function: its shell would be what is killed.
  sqlite3 -batch -bail "$db" <"$BATS_TEST_TMPDIR/script" >"$BATS_TEST_TMPDIR/said" 3>&- &
  pid=$!
  exec 7>"$BATS_TEST_TMPDIR/script"
  echo "pragma cache_size=5; begin; update t set v = hex(randomblob(500)); select 'written';" >&7
  await 30 grep -q written "$BATS_TEST_TMPDIR/said"
  kill -9 "$pid"
  exec 7>&-
  not wait "$pid"
  [[ -s $(on 2 db-journal) ]]
  [[ $(sql "$(on 2 db)" "pragma integrity_check") == ok ]]
  sql "$(on 2 db)" "select * from t order by k" | cmp - "$BATS_TEST_TMPDIR/before"
  [[ ! -e $(on 3 db-journal) ]]
  sql "$(on 3 db)" "select * from t order by k" | cmp - "$BATS_TEST_TMPDIR/before"
}

# --- archives and trees ---

# make_tree DIR DIRS FILES: with modes, times and links of their own.
make_tree() {
  local d f
  for ((d = 0; d < $2; d++)); do
    mkdir -p "$1/dir-$d"
    for ((f = 0; f < $3; f++)); do
      printf 'file %d of %d\n' "$f" "$d" >"$1/dir-$d/file-$f"
    done
    chmod 640 "$1/dir-$d/file-0"
    ln -s "../dir-$d/file-0" "$1/dir-$d/link"
    ln "$1/dir-$d/file-0" "$1/dir-$d/name"
    touch -d "2001-02-03 04:05:06.$((100000000 + d))" "$1/dir-$d/file-1"
  done
}

# same_tree DIR ON_MOUNT: rsync, which reads all of both, finds nothing to do.
same_tree() {
  local changes
  changes=$(rsync -aHAXn --checksum --delete --itemize-changes "$1/" "$2/")
  [[ -z $changes ]] || {
    echo "differ: $1 and $2:"
    head -n 5 <<<"$changes"
    return 1
  }
}

@test "tar unpacks 10,000 files on one node, and rsync finds them the same on another" {
  local quarter pid pids=()
  make_tree "$BATS_TEST_TMPDIR/tree" 100 98
  [[ $(find "$BATS_TEST_TMPDIR/tree" ! -type d | wc -l) -eq 10000 ]]
  tar -C "$BATS_TEST_TMPDIR" -cf "$BATS_TEST_TMPDIR/tree.tar" tree
  # As four, each a quarter, since one waits for a majority after each file.
  mkdir "$(on 1 tree)"
  for quarter in '[12]' '[34]' '[56]' '[7-9]'; do
    tar -C "$(on 1)" -xpf "$BATS_TEST_TMPDIR/tree.tar" --wildcards "tree/dir-$quarter*" &
    pids+=($!)
  done
  tar -C "$(on 1)" -xpf "$BATS_TEST_TMPDIR/tree.tar" tree/dir-0
  for pid in "${pids[@]}"; do
    wait "$pid"
  done
  touch -r "$BATS_TEST_TMPDIR/tree" "$(on 1 tree)"
  same_tree "$BATS_TEST_TMPDIR/tree" "$(on 2 tree)"
}

@test "rsync brings a tree to one node, and then what changed in it, whole, to another" {
  make_tree "$BATS_TEST_TMPDIR/tree" 10 28
  rsync -aHAX "$BATS_TEST_TMPDIR/tree" "$(on 1)"
  same_tree "$BATS_TEST_TMPDIR/tree" "$(on 2 tree)"
  rm -r "$BATS_TEST_TMPDIR/tree/dir-3"
  mv "$BATS_TEST_TMPDIR/tree/dir-4" "$BATS_TEST_TMPDIR/tree/dir-moved"
  echo more >>"$BATS_TEST_TMPDIR/tree/dir-5/file-5"
  rsync -aHAX --delete "$BATS_TEST_TMPDIR/tree" "$(on 2)"
  same_tree "$BATS_TEST_TMPDIR/tree" "$(on 3 tree)"
  same_tree "$BATS_TEST_TMPDIR/tree" "$(on 1 tree)"
}

# --- attributes ---

# What the programs must bring over; as root also what only root can make.
make_attributes() {
  local dir=$1
  mkdir -p "$dir/sticky" "$dir/setgid" "$dir/empty"
  echo text >"$dir/file"
  printf 'x%.0s' {1..20000} >"$dir/large"
  ln "$dir/file" "$dir/sticky/second-name"
  ln -s ../file "$dir/setgid/link"
  ln -s /none "$dir/dangling"
  mkfifo -m 620 "$dir/fifo"
  chmod 1777 "$dir/sticky"
  setfattr -n user.plain -v value "$dir/file"
  setfattr -n user.binary -v 0x00ff00 "$dir/file"
  setfattr -n user.empty "$dir/large"
  setfattr -n user.large -v "$(printf 'v%.0s' {1..3000})" "$dir/setgid"
  chmod 4711 "$dir/large"
  if ((EUID == 0)); then
    chown 12:34 "$dir/file"
    chown -h 56:78 "$dir/dangling"
    chown 1:2 "$dir/setgid"
    mknod "$dir/null" c 1 3
    mknod "$dir/disk" b 7 99
    setfattr -n trusted.t -v "only root's" "$dir/file"
    setcap cap_net_raw=ep "$dir/large"
  fi
  chmod 2755 "$dir/setgid"
  setfacl -m u:12:r,g:34:rw,m::rw "$dir/fifo"
  setfacl -d -m u:12:rwx,g::x "$dir/setgid"
  chmod 000 "$dir/empty"
  touch -h -d '1999-12-31 23:59:59.123456789' "$dir/dangling"
  touch -d '2040-01-02 03:04:05.000000001' "$dir/file"
  touch -d '1960-01-02 03:04:05.999999999' "$dir/fifo" "$dir/setgid"
}

# attributes_of DIR: everything but ctime and what the file system numbers by itself.
attributes_of() {
  (
    cd "$1" || exit
    find . -print0 | sort -z | xargs -0 stat -c '%n %A %u:%g %t:%T %F %y'
    find . ! -type d -print0 | sort -z | xargs -0 stat -c '%n %h %s'
    find . -type l -printf '%p %l\n' | sort
    find . -print0 | sort -z | xargs -0 getfattr -h -d -m '^(user|trusted|security)\.' -e hex 2>/dev/null
    # Which names are one file.
    find . -samefile file | sort
    find . ! -type l -print0 | sort -z | xargs -0 getfacl -n 2>/dev/null
  )
}

# Sees to it that the names say which differ.
same_attributes() {
  diff <(attributes_of "$1") <(attributes_of "$2")
}

@test "cp -a and rsync -aHAX bring modes, owners, times, links and extended attributes there and back" {
  local from=$BATS_TEST_TMPDIR/from
  make_attributes "$from"
  cp -a "$from" "$(on 1 cp)"
  same_attributes "$from" "$(on 2 cp)"
  rsync -aHAX -@-1 "$from/" "$(on 2 rsync)"
  same_attributes "$from" "$(on 3 rsync)"
  # Within the mount, and out of it again.
  cp -a "$(on 3 rsync)" "$(on 3 again)"
  same_attributes "$from" "$(on 1 again)"
  rsync -aHAX -@-1 "$(on 1 again)/" "$BATS_TEST_TMPDIR/back"
  same_attributes "$from" "$BATS_TEST_TMPDIR/back"
  cp -a "$(on 2 cp)" "$BATS_TEST_TMPDIR/back2"
  same_attributes "$from" "$BATS_TEST_TMPDIR/back2"
}

# --- editors ---

saves=12
text_lines=4000 # so much that no editor writes it at once

# A text whose every line tells the version.
text_of_version() {
  yes "version-$1 of a text whose lines are all alike" | head -n "$text_lines" || true
}

# watch_text NODE FILE GAP: reads the file there again and again until told to stop.
# Each time it is a version, whole; with GAP it may also be missing or still empty,
# where the editor itself takes the old one away before it has written the new one.
watch_text() {
  local file count=0
  file=$(on "$1" "$2")
  until [[ -e $BATS_TEST_TMPDIR/saved ]]; do
    cat "$file" >"$BATS_TEST_TMPDIR/seen" 2>"$BATS_TEST_TMPDIR/error" ||
      [[ $3 == gap ]] && grep -q 'No such file' "$BATS_TEST_TMPDIR/error" || [[ ! -s $BATS_TEST_TMPDIR/error ]] || {
      echo "cannot read: $(cat "$BATS_TEST_TMPDIR/error")"
      return 1
    }
    if [[ -s $BATS_TEST_TMPDIR/seen ]]; then
      awk -v want="$text_lines" '$1 != first && NR > 1 { exit 1 } { first = $1 }
        END { if (NR != want) exit 1 }' "$BATS_TEST_TMPDIR/seen" || {
        echo "half a file: $(wc -c <"$BATS_TEST_TMPDIR/seen") bytes"
        cut -d' ' -f1 "$BATS_TEST_TMPDIR/seen" | uniq -c
        return 1
      }
      count=$((count + 1))
    elif [[ $3 != gap ]]; then
      echo "empty"
      return 1
    fi
  done
  ((count > 0))
}

# saved_whole GAP EDITOR...: saves versions on node 1, each with `EDITOR FILE OLD NEW`,
# while node 2 looks.
saved_whole() {
  local gap=$1 watcher v
  shift
  text_of_version 0 >"$(on 1 text)"
  watch_text 2 text "$gap" >"$BATS_TEST_TMPDIR/watched" 2>&1 3>&- &
  watcher=$!
  for ((v = 1; v <= saves; v++)); do
    "$@" "$(on 1 text)" "version-$((v - 1))" "version-$v"
  done
  touch "$BATS_TEST_TMPDIR/saved"
  wait "$watcher" || {
    cat "$BATS_TEST_TMPDIR/watched"
    return 1
  }
  text_of_version "$saves" | cmp - "$(on 3 text)"
}

edit_with_sed() {
  sed -i "s/$2 /$3 /" "$1"
}

edit_with_vim() {
  vim -u NONE -N -es -c "set backup backupskip= backupcopy=$vim_backupcopy" -c "%s/$2 /$3 /" -c wq "$1"
}

edit_with_emacs() {
  emacs -Q -nw --batch --eval "(progn
    (setq backup-enable-predicate (lambda (name) t) backup-by-copying $emacs_copying version-control t
      delete-old-versions t kept-old-versions 100)
    (find-file \"$1\")
    (while (search-forward \"$2 \" nil t) (replace-match \"$3 \" t t))
    (save-buffer))" 2>"$BATS_TEST_TMPDIR/emacs" || {
    cat "$BATS_TEST_TMPDIR/emacs"
    return 1
  }
}

@test "sed -i: a reader on another node sees one version or the other" {
  saved_whole never edit_with_sed
  [[ $(ls -A "$(on 3)") == text ]]
}

@test "vim that writes into the file: a reader on another node sees one version or the other" {
  vim_backupcopy=yes
  saved_whole never edit_with_vim
  text_of_version $((saves - 1)) | cmp - "$(on 3 text~)"
  [[ $(ls -A "$(on 3)") == $'text\ntext~' ]]
}

@test "vim that renames the file to its backup: a reader on another node never sees half a file" {
  vim_backupcopy=no
  saved_whole gap edit_with_vim
  text_of_version $((saves - 1)) | cmp - "$(on 3 text~)"
  [[ $(ls -A "$(on 3)") == $'text\ntext~' ]]
}

@test "emacs that copies its backup: a reader on another node sees one version or the other" {
  emacs_copying=t
  saved_whole never edit_with_emacs
  text_of_version 0 | cmp - "$(on 3 text.~1~)"
}

@test "emacs that renames the file to its backup: a reader on another node never sees half a file" {
  emacs_copying=nil
  saved_whole gap edit_with_emacs
  text_of_version 0 | cmp - "$(on 3 text.~1~)"
}

# --- a build ---

@test "keelfs is configured, compiled and started on the mounts, and raft/ is tested" {
  local source build
  source=$(on 1 source)
  build=$(on 1 build)
  mkdir "$source"
  git -C "$repo" archive HEAD 2>/dev/null | tar -C "$source" -x ||
    tar -C "$repo" --exclude=./build --exclude=./.git -c . | tar -C "$source" -x
  cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug >"$BATS_TEST_TMPDIR/log" 2>&1 || {
    tail -n 20 "$BATS_TEST_TMPDIR/log"
    return 1
  }
  timeout 150 ninja -C "$build" keelfs raft_test >"$BATS_TEST_TMPDIR/log" 2>&1 || {
    tail -n 20 "$BATS_TEST_TMPDIR/log"
    return 1
  }
  # Run where another node has it.
  [[ $("$(on 3 build/bin/keelfs)" --version) == "keelfs "* ]]
  "$(on 2 build/bin/raft_test)" --timeout 60 >"$BATS_TEST_TMPDIR/log" 2>&1 || {
    tail -n 20 "$BATS_TEST_TMPDIR/log"
    return 1
  }
  # Nothing is left to do, which the times of all files say.
  run ninja -C "$build" -d explain keelfs raft_test
  echo "$output"
  [[ $status -eq 0 && $output == *"no work to do"* ]]
}
