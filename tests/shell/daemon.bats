#!/usr/bin/env bats
# The daemon alone: its command line, one node, starting and stopping.

load helper

setup() {
  common_setup
  cluster_create 1 $((21000 + RANDOM % 9000))
  mkdir -p "$cluster_dir/n1"
  mnt=$(on 1)
  data=$cluster_dir/data/n1
  address=$(cluster_endpoint 1)
}

teardown() {
  common_teardown
}

# The node of this test: a cluster of one that founds itself.
start_alone() {
  "$bin/keelfs" --data-dir "$data" --listen "$address" --log-file "$cluster_dir/log/n1.log" "$@" "$mnt"
}

write_to() {
  echo more >&"$1"
}

# refused WORDS COMMAND...: fails with one line that holds WORDS, and without a
# mount or a data directory to show for it.
refused() {
  local words=$1
  shift
  run "$@"
  [[ $status -ne 0 ]]
  [[ ${#lines[@]} -eq 1 ]]
  [[ $output == keelfs:* ]]
  [[ $output == *"$words"* ]]
  not cluster_is_mounted 1
}

@test "--help and --version answer and succeed" {
  run "$bin/keelfs" --help
  [[ $status -eq 0 && $output == Usage:* && $output == *--initial-members* ]]
  run "$bin/keelfs" --version
  [[ $status -eq 0 && $output =~ ^keelfs\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

# bats test_tags=smoke
@test "one node without a configuration serves at once and keeps its data" {
  start_alone
  echo hello >"$mnt/greeting"
  [[ $(cat "$mnt/greeting") == hello ]]
  [[ $(ls "$mnt") == greeting ]]
  [[ -e $data/keelfs.pid ]]
  cluster_stop 1
  [[ ! -e $data/keelfs.pid ]]
  not cluster_is_mounted 1
  start_alone
  [[ $(cat "$mnt/greeting") == hello ]]
}

@test "a node started again without its first options keeps its address" {
  start_alone
  cluster_stop 1
  "$bin/keelfs" --data-dir "$data" "$mnt"
  [[ $(ctl 1 put k v; ctl 1 get k) == v ]]
}

@test "SIGTERM, SIGINT and SIGHUP each unmount and end with status 0" {
  local signal pid
  for signal in TERM INT HUP; do
    # Without bats' own descriptor, for whose end bats waits.
    "$bin/keelfs" -f --data-dir "$data" --listen "$address" "$mnt" 2>"$cluster_dir/log/n1.log" 3>&- &
    pid=$!
    await 10 cluster_serves 1
    kill -s "$signal" "$pid"
    wait "$pid"
    not cluster_is_mounted 1
    [[ ! -e $data/keelfs.pid ]]
  done
}

@test "SIGTERM ends a node whose files are open, and its callers get an error" {
  start_alone
  exec 7>"$mnt/open"
  echo text >&7
  cluster_signal TERM 1
  await 15 cluster_is_down 1
  not cluster_is_mounted 1
  not write_to 7
  exec 7>&-
}

@test "umount ends the daemon" {
  start_alone
  fusermount3 -u "$mnt"
  await 10 cluster_is_down 1
  [[ ! -e $data/keelfs.pid ]]
}

@test "after kill -9 a start clears the dead mount away and all data is there" {
  start_alone
  echo kept >"$mnt/file"
  cluster_kill 1
  run cat "$mnt/file"
  [[ $output == *"Transport endpoint is not connected"* ]]
  start_alone
  [[ $(cat "$mnt/file") == kept ]]
  [[ $(grep -c " $mnt " /proc/self/mountinfo) -eq 1 ]]
}

@test "a start right after umount waits for the daemon that is about to end" {
  local pid
  start_alone
  pid=$(cluster_pid 1)
  kill -STOP "$pid"
  fusermount3 -u "$mnt"
  (sleep 1 && kill -CONT "$pid") 3>&- &
  start_alone
  [[ $(cluster_pid 1) != "$pid" ]]
}

@test "a start right after kill -9 is not deceived by what the kernel still knows" {
  start_alone
  stat "$mnt" "$mnt" "$mnt"
  cluster_kill 1
  start_alone
  [[ $(grep -c " $mnt " /proc/self/mountinfo) -eq 1 ]]
}

@test "mount options reach the kernel, and the source of an fstab line too" {
  start_alone -o noexec,noatime,x-systemd.automount,_netdev source
  grep " $mnt .*noexec.*noatime.* - fuse.keelfs source " /proc/self/mountinfo
}

@test "a read-only mount refuses to write" {
  start_alone
  echo text >"$mnt/file"
  cluster_stop 1
  start_alone -o ro
  [[ $(cat "$mnt/file") == text ]]
  run touch "$mnt/other"
  [[ $status -ne 0 && $output == *"Read-only file system"* ]]
}

@test "every setting can be a mount option" {
  "$bin/keelfs" -o "data-dir=$data,listen=$address,op_timeout=3000,name=n1" "$mnt"
  echo hello >"$mnt/greeting"
  cluster_pid 1 || kill "$(cat "$data/keelfs.pid")"
}

@test "the log goes to the named file, and nothing to the shell" {
  run start_alone
  [[ $status -eq 0 && -z $output ]]
  grep -q "serving $mnt" "$cluster_dir/log/n1.log"
}

@test "a mount point that is missing, a file or busy is refused" {
  refused "$cluster_dir/none" "$bin/keelfs" --data-dir "$data" --listen "$address" "$cluster_dir/none"
  touch "$cluster_dir/file"
  refused "$cluster_dir/file" "$bin/keelfs" --data-dir "$data" --listen "$address" "$cluster_dir/file"
  [[ ! -e $data ]]
  start_alone
  run "$bin/keelfs" --data-dir "$cluster_dir/data/other" "$mnt"
  [[ $status -ne 0 && ${#lines[@]} -eq 1 && $output == *"$mnt"* ]]
  [[ ! -e $cluster_dir/data/other ]]
  echo "still here" >"$mnt/file"
}

@test "a port in use is refused before anything is made" {
  start_alone
  mkdir "$cluster_dir/m2"
  run "$bin/keelfs" --data-dir "$cluster_dir/data/n2" --name n2 --listen "$address" "$cluster_dir/m2"
  [[ $status -ne 0 && ${#lines[@]} -eq 1 ]]
  [[ $output == *"$address"* && $output == *"in use"* ]]
  [[ ! -e $cluster_dir/data/n2 ]]
}

@test "a data directory of another node, and one in use, are refused" {
  start_alone
  mkdir "$cluster_dir/m2"
  run "$bin/keelfs" --data-dir "$data" "$cluster_dir/m2"
  [[ $status -ne 0 && ${#lines[@]} -eq 1 ]]
  [[ $output == *"$data is in use by keelfs, process $(cluster_pid 1)"* ]]
  echo kept >"$mnt/file"
  cluster_stop 1
  refused "belongs to member n1" "$bin/keelfs" --name n2 --data-dir "$data" "$mnt"
  refused "cluster" "$bin/keelfs" --data-dir "$data" --initial-members "n1=$address,n2=h:1" "$mnt"
  start_alone
  [[ $(cat "$mnt/file") == kept ]]
}

@test "a data directory under the mount point is refused" {
  refused "under the mount point" "$bin/keelfs" --data-dir "$mnt/data/n1" --listen "$address" "$mnt"
  refused "under the mount point" "$bin/keelfs" --data-dir "$data" --log-file "$mnt/log" --listen "$address" "$mnt"
  [[ -z $(ls -A "$mnt") ]]
}

@test "wrong options are refused in one line" {
  refused "unknown option '--bogus'" "$bin/keelfs" --bogus "$mnt"
  refused "unknown mount option 'bogus'" "$bin/keelfs" -o bogus "$mnt"
  refused "no mount point" "$bin/keelfs"
  refused "HOST:PORT" "$bin/keelfs" --listen here "$mnt"
  refused "not among" "$bin/keelfs" --name n9 --initial-members n1=h:1 "$mnt"
  [[ ! -e $data ]]
}

@test "the daemon keeps no file of the shell open and stays in no directory" {
  mkdir "$cluster_dir/here"
  (cd "$cluster_dir/here" && start_alone 8>"$cluster_dir/open")
  [[ $(readlink "/proc/$(cluster_pid 1)/cwd") == / ]]
  run fuser "$cluster_dir/open"
  [[ $status -ne 0 ]]
}
