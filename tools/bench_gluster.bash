# GlusterFS with three copies on this machine, for a comparison: a glusterd of our own
# with all its state in one directory.
#
# Sourced by tools/bench: gluster_up DIR mounts the volume at DIR/mnt, gluster_down takes
# all of it away. Needs root, and the machine's own glusterd must not run: its bricks know
# no other port than 24007.
# shellcheck shell=bash

gluster_dir=
gluster_port=24007
gluster_call_s=60
gluster_stop_s=20

gluster_is_there() {
  command -v glusterd >/dev/null && command -v gluster >/dev/null && [[ $EUID -eq 0 ]] &&
    ! cluster_busy_ports | grep -qx "$gluster_port"
}

gluster_call() {
  timeout -k 5 "$gluster_call_s" gluster --mode=script \
    --log-file="$gluster_dir/log/cli.log" --glusterd-sock="$gluster_dir/glusterd.sock" \
    "$@" >>"$gluster_dir/log/out" 2>&1
}

gluster_is_mounted() {
  mountpoint -q "$gluster_dir/mnt"
}

gluster_write_volfile() {
  cat >"$gluster_dir/glusterd.vol" <<EOF
volume management
    type mgmt/glusterd
    option working-directory $gluster_dir/work
    option run-directory $gluster_dir/run
    option glusterd-sockfile $gluster_dir/glusterd.sock
    option transport-type socket
    option transport.socket.bind-address 127.0.0.1
    option transport.socket.listen-port $gluster_port
    option ping-timeout 0
end-volume
EOF
}

gluster_up() {
  local host bricks=() i
  gluster_dir=$1
  host=$(hostname)
  mkdir -p "$gluster_dir"/{work,run,log,mnt}
  for i in 1 2 3; do
    mkdir "$gluster_dir/brick$i"
    bricks+=("$host:$gluster_dir/brick$i")
  done
  gluster_write_volfile
  timeout 30 glusterd --volfile="$gluster_dir/glusterd.vol" --log-level=WARNING \
    --pid-file="$gluster_dir/glusterd.pid" --log-file="$gluster_dir/log/glusterd.log" &&
    cluster_await 20 gluster_call pool list &&
    gluster_call volume create bench replica 3 "${bricks[@]}" force &&
    gluster_call volume start bench &&
    timeout 30 glusterfs --volfile-server=127.0.0.1 --volfile-id=bench \
      --log-file="$gluster_dir/log/mnt.log" "$gluster_dir/mnt" &&
    cluster_await 20 gluster_is_mounted && cluster_await 20 touch "$gluster_dir/mnt/here"
}

gluster_is_down() {
  ! kill -0 "$1" 2>/dev/null || [[ $(ps -o stat= -p "$1") == Z* ]]
}

gluster_down() {
  local pid
  [[ -n $gluster_dir ]] || return 0
  ! gluster_is_mounted || umount "$gluster_dir/mnt" || umount -l "$gluster_dir/mnt"
  if { read -r pid <"$gluster_dir/glusterd.pid"; } 2>/dev/null; then
    # The bricks are stopped with their volume.
    gluster_call volume stop bench force || true
    gluster_call volume delete bench || true
    kill "$pid" 2>/dev/null || true
    cluster_await "$gluster_stop_s" gluster_is_down "$pid" || kill -9 "$pid"
  fi
  rm -rf --one-file-system -- "$gluster_dir"
  gluster_dir=
}
