#!/usr/bin/env bats
# What is said when mounting: who gets in, what is honoured, fstab and remount.

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

start_alone() {
  "$bin/keelfs" --data-dir "$data" --listen "$address" --log-file "$cluster_dir/log/n1.log" "$@" "$mnt"
}

need_root() {
  ((EUID == 0)) || skip "NOT TESTED: only root can become another user and mount"
}

# mounted_with OPTION...: the kernel has each of these flags for the mount.
mounted_with() {
  local option flags
  read -r _ _ _ _ _ flags _ < <(grep -F " $mnt " /proc/self/mountinfo)
  for option in "$@"; do
    [[ ,$flags, == *,$option,* ]] || {
      echo "no $option among $flags"
      return 1
    }
  done
}

# Who a program is that belongs to root and is set-user-id, run by another user.
runs_as() {
  install -m 4755 /usr/bin/id "$mnt/id"
  nobody "$mnt/id" -u
}

# bats test_tags=smoke
@test "without allow_other only the mounter gets in" {
  need_root
  open_the_way
  start_alone
  chmod 777 "$mnt"
  echo text >"$mnt/file"
  run nobody cat "$mnt/file"
  [[ $status -ne 0 && $output == *"Permission denied"* ]]
  run nobody ls "$mnt"
  [[ $status -ne 0 && $output == *"Permission denied"* ]]
}

@test "with allow_other modes and owners decide" {
  need_root
  open_the_way
  start_alone -o allow_other
  echo text >"$mnt/open"
  install -m 600 "$mnt/open" "$mnt/closed"
  [[ $(nobody cat "$mnt/open") == text ]]
  run nobody cat "$mnt/closed"
  [[ $status -ne 0 && $output == *"Permission denied"* ]]
  run nobody touch "$mnt/new"
  [[ $status -ne 0 && $output == *"Permission denied"* ]]
  chmod 1777 "$mnt"
  nobody touch "$mnt/new"
  [[ $(stat -c %u "$mnt/new") -eq 65534 ]]
  run nobody rm -f "$mnt/open"
  [[ $status -ne 0 && $output == *"Operation not permitted"* ]]
}

@test "set-user-id programs and devices count only when that is asked for" {
  need_root
  open_the_way
  start_alone -o allow_other
  mounted_with nosuid nodev
  [[ $(runs_as) -eq 65534 ]]
  mknod "$mnt/null" c 1 3
  run cat "$mnt/null"
  [[ $status -ne 0 && $output == *"Permission denied"* ]]
  cluster_stop 1
  start_alone -o allow_other,suid,dev
  not mounted_with nosuid
  not mounted_with nodev
  [[ $(runs_as) -eq 0 ]]
  cat "$mnt/null"
}

# as_user COMMAND...: by a user who may only what every user may.
as_user() {
  (cd / && HOME=$cluster_dir nobody env -u XDG_STATE_HOME "$@")
}

start_as_user() {
  as_user "$bin/keelfs" --data-dir "$data" --listen "$address" --log-file "$cluster_dir/log/n1.log" "$mnt"
}

# In a namespace of its own, where every user may have the device, as on a machine with udev.
user_session() {
  mount -t tmpfs -o mode=755 keelfs-test "$cluster_dir/dev"
  mknod -m 666 "$cluster_dir/dev/fuse" c 10 229
  mount --bind "$cluster_dir/dev/fuse" /dev/fuse
  start_as_user
  mounted_with nosuid nodev
  as_user bash -c "echo text >'$mnt/file'"
  not cat "$mnt/file" 2>"$cluster_dir/why"
  grep -q "Permission denied" "$cluster_dir/why"
  cluster_kill 1
  start_as_user
  [[ $(as_user cat "$mnt/file") == text ]]
  as_user fusermount3 -u "$mnt"
  await 10 cluster_is_down 1
  start_as_user
  [[ $(as_user cat "$mnt/file") == text ]]
  # The namespace takes the mount along.
  cluster_stop 1
}

@test "a user mounts, unmounts, and mounts again over a dead mount, and root is kept out" {
  need_root
  open_the_way
  mkdir "$cluster_dir/dev"
  chown 65534:65534 "$mnt" "$cluster_dir" "$cluster_dir/data" "$cluster_dir/log"
  [[ -u $(command -v fusermount3) ]] || skip "NOT TESTED: fusermount3 is not set-user-id"
  as_user test -x "$bin/keelfs" || skip "NOT TESTED: another user cannot reach $bin"
  unshare --mount bash -euc "$(declare -p bin mnt data address cluster_dir cluster_stop_s); $(declare -f)
    user_session"
}

# remount OPTION,...: as mount(8) asks for it.
remount() {
  "$bin/keelfs" source "$mnt" -o "remount,$1"
}

@test "a remount changes the flags it names, and is refused while files are open for writing" {
  need_root
  start_alone -o noexec
  echo text >"$mnt/file"
  remount ro
  mounted_with ro noexec nosuid nodev
  run touch "$mnt/file"
  [[ $status -ne 0 && $output == *"Read-only file system"* ]]
  [[ $(cat "$mnt/file") == text ]]
  remount rw,exec
  mounted_with rw nosuid nodev
  not mounted_with noexec
  exec 7>>"$mnt/file"
  run remount ro
  exec 7>&-
  [[ $status -eq 1 && $output == *"open for writing"* ]]
  mounted_with rw
  cluster_stop 1
  run remount ro
  [[ $status -eq 1 && $output == "keelfs: no keelfs is mounted at $mnt" ]]
}

# The daemon that serves, also one whose command line names the data directory
# only among its mount options.
await_end() {
  await 10 has_no_process "$1"
}

has_no_process() {
  [[ ! -e /proc/$1 ]]
}

# What an administrator types, in a namespace of its own: mount(8) looks for keelfs
# only where programs are installed.
fstab_session() {
  local pid
  mount -t tmpfs keelfs-test /usr/local/sbin
  ln -s "$bin/keelfs" /usr/local/sbin/keelfs
  mount -T "$cluster_dir/fstab" "$mnt"
  mounted_with rw nosuid nodev
  grep -qF " $mnt rw,nosuid,nodev,relatime - fuse.keelfs kv " /proc/self/mountinfo
  echo text >"$mnt/file"
  mount -T "$cluster_dir/fstab" -o remount,ro "$mnt"
  mounted_with ro nosuid nodev
  mount -o remount,rw,noexec "$mnt"
  mounted_with rw nosuid nodev noexec
  echo more >>"$mnt/file"
  pid=$(cat "$data/keelfs.pid")
  umount "$mnt"
  await_end "$pid"
  sed -i s/allow_other/allow_suid/ "$cluster_dir/fstab"
  mount -T "$cluster_dir/fstab" "$mnt"
  mounted_with rw nodev
  not mounted_with nosuid
  [[ $(cat "$mnt/file") == $'text\nmore' ]]
  # One that a killed daemon left is taken away first.
  pid=$(cat "$data/keelfs.pid")
  kill -9 "$pid"
  await_end "$pid"
  mount -T "$cluster_dir/fstab" "$mnt"
  [[ $(cat "$mnt/file") == $'text\nmore' ]]
  pid=$(cat "$data/keelfs.pid")
  umount "$mnt"
  await_end "$pid"
}

@test "a line of fstab mounts, remounts and is unmounted with mount(8)" {
  need_root
  export -f fstab_session mounted_with await_end has_no_process await not cluster_await
  export bin mnt data cluster_dir
  printf 'kv %s fuse.keelfs data-dir=%s,listen=%s,log-file=%s,allow_other,_netdev 0 0\n' \
    "$mnt" "$data" "$address" "$cluster_dir/log/n1.log" >"$cluster_dir/fstab"
  unshare --mount bash -euc fstab_session
}
