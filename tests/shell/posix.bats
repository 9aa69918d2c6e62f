#!/usr/bin/env bats
# What programs expect of a local file system, through the mounts of three nodes.

load helper

setup() {
  common_setup
  ((EUID == 0)) || skip "NOT TESTED: only root can become another user and make devices"
  make_cluster 3 -o allow_other,dev
  open_the_way
}

teardown() {
  common_teardown
}

# --- names and attributes ---

# fails_with MESSAGE COMMAND...: the message of the errno.
fails_with() {
  local message=$1
  shift
  run --separate-stderr "$@"
  if [[ $status -eq 0 || $stderr != *"$message"* ]]; then
    echo "not '$message' of $*: $status, $stderr"
    return 1
  fi
}

# bats test_tags=smoke
@test "each kind of name is made, is seen elsewhere, and is refused with the errno of a local file system" {
  local d
  mkdir "$(on 1 d)"
  d=$(on 1 d)
  echo text >"$d/file"
  ln "$d/file" "$d/second"
  ln -s file "$d/link"
  mkfifo "$d/fifo"
  mknod "$d/null" c 1 3
  mkdir "$d/dir" "$d/full"
  touch "$d/full/x"
  [[ $(cd "$(on 2 d)" && stat -c '%n %F %h' -- *) == "dir directory 2
fifo fifo 1
file regular file 2
full directory 2
link symbolic link 1
null character special file 1
second regular file 2" ]]
  [[ $(stat -c %h "$(on 3 d)") -eq 4 ]]
  [[ $(stat -c %t:%T "$(on 3 d/null)") == 1:3 && $(readlink "$(on 2 d/link)") == file ]]

  fails_with "File exists" mkdir "$(on 2 d/file)"
  fails_with "Not a directory" touch "$(on 2 d/file/x)"
  fails_with "Is a directory" rm "$(on 2 d/dir)"
  fails_with "Directory not empty" rmdir "$(on 2 d/full)"
  fails_with "Directory not empty" mv -T "$(on 2 d/dir)" "$(on 2 d/full)"
  fails_with "File name too long" touch "$(on 2)/$(printf '%0256d' 0)"
  fails_with "not allowed" ln "$(on 2 d/dir)" "$(on 2 hard)"
  fails_with "subdirectory of itself" mv "$(on 2 d)" "$(on 2 d/dir/d)"
  ln -s round "$(on 2 round)"
  fails_with "Too many levels" cat "$(on 3 round)"
  cp "$(command -v sleep)" "$(on 1 program)"
  "$(on 1 program)" 30 &
  fails_with "Text file busy" sh -c "echo >> '$(on 1 program)'"
  kill $!
  wait $! || true
}

@test "owners, modes, times, the sticky bit and set-group-id directories are those of a local file system" {
  local f
  f=$(on 1 f)
  touch "$f"
  chown 65534:65534 "$f"
  chmod 6755 "$f"
  nobody chgrp 65534 "$f"
  [[ $(stat -c %a "$(on 2 f)") == 755 ]]
  touch -d '1965-02-03 04:05:06.123456789 UTC' "$f"
  [[ $(TZ=UTC stat -c %y "$(on 2 f)") == "1965-02-03 04:05:06.123456789 +0000" ]]
  touch -a "$f"
  [[ $(TZ=UTC stat -c %y "$(on 2 f)") == 1965-02-03* && $(stat -c %X "$f") -gt 0 ]]

  mkdir -m 1777 "$(on 1 sticky)"
  touch "$(on 1 sticky/f)"
  fails_with "not permitted" nobody rm "$(on 2 sticky/f)"
  mkdir "$(on 1 group)"
  chgrp 65534 "$(on 1 group)"
  chmod 2775 "$(on 1 group)"
  mkdir "$(on 2 group/d)"
  touch "$(on 2 group/f)"
  [[ $(stat -c %a:%g "$(on 3 group/d)") == 2755:65534 && $(stat -c %a:%g "$(on 3 group/f)") == 644:65534 ]]
}

# --- access control lists ---

# lists DIR: every list below it, without the name of DIR.
lists() {
  (cd "$1" && getfacl -nR .)
}

@test "access control lists let in, are inherited, and come through cp -a and rsync -aHAX" {
  local local_dir=$BATS_TEST_TMPDIR/tree
  mkdir "$(on 1 d)"
  setfacl -m d:u:65534:rwx,d:o::- "$(on 1 d)"
  (
    umask 077
    mkdir "$(on 2 d/sub)"
    echo secret >"$(on 2 d/sub/f)"
  )
  [[ $(stat -c %a "$(on 3 d/sub)") == 770 && $(stat -c %a "$(on 3 d/sub/f)") == 660 ]]
  [[ $(nobody cat "$(on 3 d/sub/f)") == secret ]]
  chmod g-rw "$(on 1 d/sub/f)"
  not nobody cat "$(on 3 d/sub/f)"
  setfacl -m u:65534:r "$(on 3 d/sub/f)"
  [[ $(nobody cat "$(on 1 d/sub/f)") == secret ]]
  not nobody sh -c "echo x >>'$(on 1 d/sub/f)'"

  cp -a "$(on 1 d)" "$(on 2 copy)"
  [[ $(lists "$(on 3 copy)") == "$(lists "$(on 3 d)")" ]]
  setfattr -n user.a -v 1 "$(on 1 d/sub/f)"
  ln "$(on 1 d/sub/f)" "$(on 1 d/second)"
  mkdir "$local_dir"
  rsync -aHAX "$(on 2 d/)" "$local_dir"
  rsync -aHAX "$local_dir/" "$(on 1 back)"
  [[ $(lists "$(on 3 back)") == "$(lists "$(on 3 d)")" ]]
  [[ $(getfattr --only-values -n user.a "$(on 3 back/second)") == 1 ]]
}

# --- open files ---

# With file descriptor 5: what was opened as "old".
check_open_file() {
  [[ $(cat /dev/fd/5) == old ]]
  [[ $(stat -Lc '%h %s %a' /dev/fd/5) == "0 4 644" ]]
  [[ $(getfattr -L --only-values -n user.a /dev/fd/5 2>/dev/null) == 1 ]]
  chmod 600 /dev/fd/5
  /bin/echo more >&5
  [[ $(stat -Lc '%h %s %a' /dev/fd/5) == "0 9 600" ]]
}

@test "a file that another node removed or replaced goes on for those who have it open" {
  local name
  for name in removed replaced; do
    echo old >"$(on 1 $name)"
    setfattr -n user.a -v 1 "$(on 1 $name)"
  done
  exec 5<>"$(on 1 removed)"
  rm "$(on 2 removed)"
  dd of=/dev/null bs=4 count=1 status=none <&5
  check_open_file
  exec 5<>"$(on 1 replaced)"
  echo new >"$(on 3 new)"
  mv "$(on 3 new)" "$(on 3 replaced)"
  dd of=/dev/null bs=4 count=1 status=none <&5
  check_open_file
  exec 5>&-
  [[ $(cat "$(on 1 replaced)") == new ]]
  not test -e "$(on 1 removed)"
}

# --- compare and swap ---

# add_one I: to the number in the file `counter`, through mount I, however often others
# come first. The lock is for the processes of one node.
add_one() {
  local f version n
  f=$(on "$1" counter)
  while :; do
    exec 6<>"$f"
    flock 6
    version=$(getfattr --only-values -n user.keelfs.version "$f")
    n=$(cat "$f")
    setfattr -n user.keelfs.if-version -v "$version" "$f"
    if echo $((n + 1)) | dd of="$f" conv=notrunc,fsync status=none 2>/dev/null; then
      return
    fi
    exec 6>&-
  done
}

@test "compare and swap: processes of three nodes count with user.keelfs.if-version and lose nothing" {
  local i pids=()
  echo 0 >"$(on 1 counter)"
  for i in 1 2 3 1; do
    (for _ in {1..10}; do add_one "$i"; done) &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i"
  done
  [[ $(cat "$(on 2 counter)") -eq 40 ]]
}

# --- quotas ---

@test "past a quota writing fails with EDQUOT on every mount, and removing makes room" {
  head -c 600K /dev/zero >"$(on 1 a)"
  ctl 2 quota --bytes 1M --files 4
  [[ $(df --output=size -B1 "$(on 3)" | tail -n 1) -eq $((1 << 20)) ]]
  fails_with "Disk quota exceeded" dd if=/dev/zero of="$(on 3 b)" bs=600K count=1 conv=fsync
  fails_with "Disk quota exceeded" dd if=/dev/zero of="$(on 3 b)" bs=600K count=1
  [[ $(stat -c %s "$(on 1 b)") -eq 0 ]]
  touch "$(on 1 c)" "$(on 2 d)"
  fails_with "Disk quota exceeded" touch "$(on 1 e)"
  fails_with "Disk quota exceeded" mkdir "$(on 2 e)"
  : >"$(on 2 a)"
  rm "$(on 3 c)"
  head -c 600K /dev/zero | dd of="$(on 3 b)" conv=fsync status=none
  ctl 1 quota --bytes 100K --files 1
  rm "$(on 2 b)" "$(on 3 d)"
  ctl 1 quota --bytes 0 --files 0
  touch "$(on 1 e)"
}
