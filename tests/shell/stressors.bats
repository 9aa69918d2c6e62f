#!/usr/bin/env bats
# Programs that are made to find fault with a file system.

load helper

setup() {
  common_setup
  make_cluster 3
}

teardown() {
  common_teardown
}

# succeeds COMMAND...: shows what it said only when it fails.
succeeds() {
  "$@" >"$BATS_TEST_TMPDIR/said" 2>&1 || {
    echo "status $?: $*"
    grep -vE 'metrc|dispatching' "$BATS_TEST_TMPDIR/said" | tail -n 30
    return 1
  }
}

@test "dbench with a client on each mount" {
  local i pids=()
  for i in 1 2 3; do
    mkdir "$(on "$i" "of-$i")"
    dbench -t 5 -D "$(on "$i" "of-$i")" -c /usr/share/dbench/client.txt 1 >"$BATS_TEST_TMPDIR/dbench-$i" 2>&1 3>&- &
    pids+=($!)
  done
  for i in 1 2 3; do
    wait "${pids[i - 1]}" && grep -q '^Throughput' "$BATS_TEST_TMPDIR/dbench-$i" || {
      tail -n 20 "$BATS_TEST_TMPDIR/dbench-$i"
      return 1
    }
  done
}

# fio_job NAME OPTION...: writes on node 1 and reads back there, then on another node;
# every block has a checksum of its own.
fio_job() {
  local name=$1 common
  shift
  common=(--name="$name" --filename="$name" --verify=crc32c --verify_fatal=1 --verify_state_save=0 "$@")
  succeeds fio --directory="$(on 1)" --do_verify=1 "${common[@]}"
  succeeds fio --directory="$(on 3)" --verify_only "${common[@]}"
}

@test "fio writes in order, at random, through a mapping and past the cache, and verifies on two nodes" {
  fio_job in-order --rw=write --bs=256k --size=32m --end_fsync=1
  fio_job at-random --rw=randwrite --bs=4k --size=8m --fsync=128
  fio_job odd-sizes --rw=randwrite --bsrange=512-40k --bs_unaligned --size=8m
  fio_job mapped --rw=randwrite --bs=4k --size=4m --ioengine=mmap
  fio_job direct --rw=randwrite --bs=4k --size=4m --direct=1 --ioengine=libaio --iodepth=16
}

@test "fio mixes reads and writes of eight processes, and every block read is what was written" {
  succeeds fio --directory="$(on 1)" --name=mixed --numjobs=8 --rw=randrw --bs=4k --size=1m \
    --verify=md5 --verify_fatal=1 --verify_state_save=0 --verify_backlog=64
}

# Those of stress-ng's file stressors that have something to do here, with how much of
# it; not link and symlink, which make 8,192 names in one go.
stressors=(
  'access' 'chdir --chdir-dirs 64' 'chmod' 'chown' 'copy-file --copy-file-bytes 128m'
  'dentry --dentries 64' 'dir' 'dirdeep --dirdeep-inodes 128' 'dirmany'
  'fallocate --fallocate-bytes 4m' 'fcntl' 'filename' 'flock' 'fpunch' 'fsize' 'fstat' 'getdent'
  'handle' 'hdd --hdd-bytes 4m' 'io' 'iomix --iomix-bytes 4m' 'locka' 'lockf' 'lockofd' 'mknod'
  'mmap --mmap-bytes 1m' 'msync' 'open' 'readahead --readahead-bytes 4m' 'rename'
  'seek --seek-size 4m' 'sendfile' 'sync-file --sync-file-bytes 4m' 'touch' 'utime' 'xattr'
)

# run_stressors NODE: every third one, on its mount.
run_stressors() {
  local k name options
  for ((k = $1 - 1; k < ${#stressors[@]}; k += 3)); do
    read -r name options <<<"${stressors[k]}"
    # shellcheck disable=SC2086 # words
    stress-ng --temp-path "$(on "$1")" --verify --timeout 1 --"$name" 1 $options || return
  done
}

@test "stress-ng's file stressors find nothing wrong, one after the other on each mount" {
  local i pids=()
  for i in 1 2 3; do
    run_stressors "$i" >"$BATS_TEST_TMPDIR/stressors-$i" 2>&1 3>&- &
    pids+=($!)
  done
  for i in 1 2 3; do
    wait "${pids[i - 1]}" || {
      grep -v dispatching "$BATS_TEST_TMPDIR/stressors-$i" | tail -n 20
      return 1
    }
  done
  [[ -z $(ls -A "$(on 1)") ]]
}
