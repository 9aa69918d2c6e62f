#!/usr/bin/env bats
# Locks between the programs of one node.

load helper

setup() {
  common_setup
  make_cluster 1
  file=$(on 1 f)
  touch "$file"
}

teardown() {
  common_teardown
}

@test "flock(1) waits for its turn, and gives up when told to" {
  local waiter
  exec 7>"$(on 1 f)"
  flock 7
  run flock -n "$file" true
  [[ $status -eq 1 ]]
  run flock -w 0.2 "$file" true
  [[ $status -eq 1 ]]
  flock "$file" echo turn >"$BATS_TEST_TMPDIR/out" 7>&- &
  waiter=$!
  exec 7>&-
  wait "$waiter"
  [[ $(<"$BATS_TEST_TMPDIR/out") == turn ]]
  flock -n "$file" true
}

@test "20 processes that count under a lock lose nothing" {
  local i pids=()
  echo 0 >"$(on 1 count)"
  for ((i = 0; i < 20; i++)); do
    # shellcheck disable=SC2016 # for the inner shell
    flock "$file" sh -c 'n=$(cat "$1"); echo $((n + 1)) >"$1"' sh "$(on 1 count)" &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i"
  done
  [[ $(cat "$(on 1 count)") -eq 20 ]]
}

@test "locks of a process and of an open file description are told apart" {
  python3 - "$file" <<'END'
import errno, fcntl, os, struct, sys

F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
path = sys.argv[1]

def lock(fd, cmd, kind, start=0, size=0):
    try:
        return fcntl.fcntl(fd, cmd, struct.pack("hhqqi4x", kind, 0, start, size, 0))
    except OSError as e:
        assert e.errno in (errno.EAGAIN, errno.EACCES), e
        return None

a = os.open(path, os.O_RDWR)
b = os.open(path, os.O_RDWR)
# Of one process: its ranges are its own, its open files keep each other out.
assert lock(a, fcntl.F_SETLK, fcntl.F_WRLCK, 0, 10)
assert lock(b, fcntl.F_SETLK, fcntl.F_WRLCK, 5, 10)
assert lock(b, F_OFD_SETLK, fcntl.F_RDLCK, 0, 1) is None
assert lock(b, F_OFD_SETLK, fcntl.F_WRLCK, 20, 10)
assert lock(a, F_OFD_SETLK, fcntl.F_RDLCK, 29, 1) is None
assert lock(a, fcntl.F_SETLK, fcntl.F_RDLCK, 29, 1) is None
# Any close gives back the ranges of the process, and no others.
os.close(os.open(path, os.O_RDONLY))
assert lock(b, F_OFD_SETLK, fcntl.F_WRLCK, 0, 10)
assert lock(a, F_OFD_SETLK, fcntl.F_RDLCK, 29, 1) is None
# What a child inherits stays locked until the last has closed it.
pid = os.fork()
if pid == 0:
    os.close(a)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert lock(a, F_OFD_SETLK, fcntl.F_RDLCK, 29, 1) is None
os.close(b)
assert lock(a, F_OFD_SETLKW, fcntl.F_WRLCK)
END
}
