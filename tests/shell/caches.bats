#!/usr/bin/env bats
# What the kernels keep is dropped when another node changes it: three mounts whose
# caches are hot before each change.
# shellcheck disable=SC2016 # the expressions are those of perl

load helper

setup() {
  common_setup
  make_cluster 3
}

teardown() {
  common_teardown
}

# hot PATH...: every kernel has seen them, several times: names, attributes, listings.
hot() {
  local i path paths=()
  for i in 1 2 3; do
    for path; do paths+=("$(on "$i" "$path")"); done
  done
  perl -e 'for (1 .. 3) { for my $p (@ARGV) {
      stat($p);
      if (opendir(my $d, $p)) { my @names = readdir($d); } elsif (open(my $f, "<", $p)) { <$f>; }
    } }' "${paths[@]}"
}

# requests I [OP...]: how many of them node I has answered; lookups and looks at
# attributes when none is named.
requests() {
  local ops=${*:2}
  awk -F'[" ]' -v ops=" ${ops:-lookup getattr} " \
    '/_duration_seconds_count/ && index(ops, " " $2 " ") { sum += $NF } END { print sum + 0 }' \
    "$(on "$1" .keelfs/metrics)"
}

# metric I NAME: its value on node I.
metric() {
  sed -n "s/^$2 //p" "$(on "$1" .keelfs/metrics)"
}

# has_lease I: node I answers from what it has.
has_lease() {
  local before
  stat "$(on "$1" hot)" >/dev/null
  before=$(requests "$1")
  stat "$(on "$1" hot)" "$(on "$1" hot)" "$(on "$1" hot)" "$(on "$1" hot)" >/dev/null
  (($(requests "$1") <= before + 4))
}

await_leases() {
  local i
  echo hot >"$(on 1 hot)"
  for i in 1 2 3; do
    await 20 has_lease "$i"
  done
}

# --- that caches are used ---

@test "a file that does not change is looked at many times with few requests" {
  local i before after n=3000
  await_leases
  for i in 1 2 3; do
    before=$(requests "$i")
    perl -e 'for (1 .. $ARGV[0]) { stat($ARGV[1]) or die "$!"; }' "$n" "$(on "$i" hot)"
    after=$(requests "$i")
    echo "node $i: $((after - before)) requests for $n looks"
    ((after - before < n / 10))
  done
}

@test "a directory that does not change is listed from what the kernel keeps" {
  local i before n=200
  await_leases
  mkdir "$(on 1 d)"
  touch "$(on 1 d)"/{1..50}
  for i in 1 2 3; do
    before=$(requests "$i" readdir readdirplus)
    perl -e 'for (1 .. $ARGV[0]) {
        opendir(my $d, $ARGV[1]) or die "$!";
        my @names = readdir($d);
        @names == 52 or die scalar(@names);
      }' "$n" "$(on "$i" d)"
    (($(requests "$i" readdir readdirplus) - before < n / 10))
  done
}

@test "who has a directory open sees names that came and went when it rewinds" {
  await_leases
  mkdir "$(on 1 d)"
  touch "$(on 1 d)"/{1..5}
  hot d
  perl -e '
    my ($mine, $other) = @ARGV;
    sub names { return join(" ", sort(grep(!/^\./, readdir($_[0])))); }
    opendir(my $d, $mine) or die;
    opendir(my $e, $mine) or die;
    names($d) eq "1 2 3 4 5" or die;
    readdir($e);
    for my $round (1 .. 20) {
      open(my $f, ">", "$other/6") or die; close($f);
      rewinddir($d); my $with = names($d);
      $with eq "1 2 3 4 5 6" or die "$round: $with";
      opendir(my $new, $mine) or die; $with = names($new);
      $with eq "1 2 3 4 5 6" or die "$round, opened: $with";
      unlink("$other/6") or die;
      rewinddir($d); my $without = names($d);
      $without eq "1 2 3 4 5" or die "$round: $without";
      opendir($new, $mine) or die; $without = names($new);
      $without eq "1 2 3 4 5" or die "$round, opened: $without";
      rewinddir($e); readdir($e); readdir($e);
    }' "$(on 2 d)" "$(on 3 d)"
}

@test "who rewinds, or opens anew, sees what is new also when the directory has the time that it had" {
  await_leases
  mkdir "$(on 1 d)"
  touch -d @1000 "$(on 1 d)"
  hot d
  perl -e '
    my ($mine, $other) = @ARGV;
    sub names { return join(" ", sort(grep(!/^\./, readdir($_[0])))); }
    opendir(my $d, $mine) or die;
    my $want = "";
    for my $n (1 .. 9) {
      closedir($d) if $n == 6;
      for (1 .. 3) {
        if ($n < 6) { rewinddir($d); } else { opendir($d, $mine) or die; }
        names($d) eq $want or die "$n: not $want";
        closedir($d) if $n >= 6;
      }
      # As it is done when an archive is unpacked.
      mkdir("$other/$n") && utime(1000, 1000, $other) or die;
      $want .= $n == 1 ? $n : " $n";
      # Some who rewind find it in flight; who opens it finds what the kernel may keep.
      stat($mine) for 1 .. ($n % 2 || $n > 5) * 200;
    }' "$(on 2 d)" "$(on 3 d)"
}

@test "with cache=none every look is a request" {
  local before n=200
  cluster_ask_to_stop 2
  cluster_await_stop 2
  cluster_start 2 -o cache=none
  await 20 cluster_serves 2
  echo hot >"$(on 1 hot)"
  # For longer than it takes the others to get their leases.
  perl -e 'my $end = time + 2; stat($ARGV[0]) while time < $end;' "$(on 2 hot)"
  before=$(requests 2)
  perl -e 'for (1 .. $ARGV[0]) { stat($ARGV[1]) or die "$!"; }' "$n" "$(on 2 hot)"
  (($(requests 2) - before >= n))
  [[ $(metric 2 keelfs_lease_held) -eq 0 ]]
}

# --- that they are right ---

# bats test_tags=smoke
@test "a change on one node is there at the next call on the others, whatever they had cached" {
  local round a b c
  await_leases
  for round in 1 2 3; do
    a=$((round % 3 + 1)) b=$(((round + 1) % 3 + 1)) c=$(((round + 2) % 3 + 1))
    mkdir "$(on 1 d)"
    hot d d/f
    echo one >"$(on "$a" d/f)" # created
    [[ $(cat "$(on "$b" d/f)") == one && $(ls "$(on "$c" d)") == f ]]
    hot d d/f
    echo three >"$(on "$a" d/f)" # another size
    [[ $(stat -c %s "$(on "$b" d/f)") == 6 && $(cat "$(on "$c" d/f)") == three ]]
    hot d d/f
    chmod 600 "$(on "$a" d/f)"
    [[ $(stat -c %a "$(on "$b" d/f)") == 600 && $(stat -c %a "$(on "$c" d/f)") == 600 ]]
    hot d d/f
    truncate -s 2 "$(on "$a" d/f)"
    [[ $(stat -c %s "$(on "$b" d/f)") == 2 && $(cat "$(on "$c" d/f)") == th ]]
    hot d d/f d/g
    mv "$(on "$a" d/f)" "$(on "$a" d/g)"
    [[ ! -e $(on "$b" d/f) && -e $(on "$b" d/g) && ! -e $(on "$c" d/f) && -e $(on "$c" d/g) ]]
    hot d e d/g e/g
    mv "$(on "$a" d)" "$(on "$a" e)" # the directory above
    [[ ! -e $(on "$b" d/g) && -e $(on "$b" e/g) && ! -e $(on "$c" d/g) && -e $(on "$c" e/g) ]]
    hot e e/g
    rm "$(on "$a" e/g)"
    [[ ! -e $(on "$b" e/g) && -z $(ls "$(on "$c" e)") ]]
    hot e e/g
    mkdir "$(on "$a" e/g)" # a directory where a file was
    [[ -d $(on "$b" e/g) && -d $(on "$c" e/g) ]]
    hot e e/g
    rmdir "$(on "$a" e/g)"
    echo file >"$(on "$a" e/g)" # and a file where the directory was
    [[ -f $(on "$b" e/g) && $(cat "$(on "$c" e/g)") == file ]]
    ln -s here "$(on "$a" e/l)"
    hot e e/l
    ln -sfn there "$(on "$a" e/l)"
    [[ $(readlink "$(on "$b" e/l)") == there && $(readlink "$(on "$c" e/l)") == there ]]
    hot e/g e/h
    ln "$(on "$a" e/g)" "$(on "$a" e/h)"
    [[ $(stat -c %h "$(on "$b" e/g)") == 2 && $(stat -c %h "$(on "$c" e/h)") == 2 ]]
    hot e/g e/h
    echo longer >"$(on "$a" e/h)" # by the other name
    [[ $(stat -c %s "$(on "$b" e/g)") == 7 && $(cat "$(on "$c" e/g)") == longer ]]
    hot e e/g e/h e/l
    rm -r "$(on "$a" e)"
    [[ ! -e $(on "$b" e) && ! -e $(on "$c" e/g) ]]
  done
  # And says so.
  for a in 1 2 3; do
    (($(metric "$a" keelfs_lease_renewals_total) > 0 && $(metric "$a" keelfs_recalled_names_total) > 1))
    (($(metric "$a" keelfs_recalled_attributes_total) > 0))
  done
}

# seen_at_least I FILE N: what node I says of it is N or newer.
seen_at_least() {
  local size
  size=$(stat -c %s "$(on "$1" "$2")")
  ((size >= $3)) || {
    echo "node $1 shows $size of $2, which had $3"
    return 1
  }
}

@test "a daemon that was stopped for longer than its lease gives no old answer" {
  local round pid size=0 i
  await_leases
  : >"$(on 1 grows)"
  pid=$(cluster_pid 3)
  for ((round = 0; round < 3; round++)); do
    # Looks that go on while it is stopped, and when it goes on.
    timeout 20 perl -e 'while (1) { stat($ARGV[0]); }' "$(on 3 grows)" &
    local looker=$!
    for i in 1 2 3 4; do stat "$(on 3 grows)" >/dev/null; done
    kill -STOP "$pid"
    for i in 1 2 3; do
      printf 'x' >>"$(on $((round % 2 + 1)) grows)"
      size=$((size + 1))
    done
    # The kernel may still have answers, but none that is old.
    timeout -s KILL 1 stat -c %s "$(on 3 grows)" >"$BATS_TEST_TMPDIR/size" 2>/dev/null || true
    if [[ -s $BATS_TEST_TMPDIR/size ]]; then
      (($(<"$BATS_TEST_TMPDIR/size") >= size))
    fi
    kill -CONT "$pid"
    for i in 1 2 3 4 5; do seen_at_least 3 grows "$size"; done
    kill "$looker"
    wait "$looker" || true
  done
}

# --- that they stay right whatever happens ---

# write_rounds I: through node I, one round after the other, each of which changes all
# that the lookers look at; the number of a round is noted when it has been acknowledged.
write_rounds() {
  exec perl -e '
    use strict;
    my ($mount, $noted) = @ARGV;
    sub done { $_[0] or die "$_[1]: $!\n"; }
    for (my $n = 1; ; $n++) {
      # Not shorter meanwhile, which who looks on this node would see.
      done(open(my $f, $n == 1 ? ">" : "+<", "$mount/text"), "text");
      done(printf($f "%06d", $n) && close($f), "text");
      open($f, ">>", "$mount/grows"); done(print($f "x") && close($f), "grows");
      done(symlink($n, "$mount/link.new") && rename("$mount/link.new", "$mount/link"), "link");
      done(mkdir("$mount/kept/$n"), "kept");
      done(mkdir("$mount/names/$n"), "mkdir");
      done($n == 1 || rmdir("$mount/names/" . ($n - 1)), "rmdir");
      open($f, ">", "$noted.new"); print $f $n; close($f);
      rename("$noted.new", $noted);
    }' "$(on "$1")" "$noted"
}

# look_on I [WAY]: again and again, in one or in every way there is to look. What is seen is
# never older than the round that had been noted before the look. Says how many looks there were.
look_on() {
  exec perl -e '
    use strict;
    use Errno;
    my ($mount, $noted, $stop, $only) = @ARGV;
    sub noted { open(my $f, "<", $noted) or die; return <$f>; }
    sub content {
      open(my $f, "<", "$mount/text") or return undef;
      my $size = sysread($f, my $n, 100);
      return $size ? $n : $size;
    }
    sub oldest {
      opendir(my $d, "$mount/names") or return undef;
      my ($first) = sort { $a <=> $b } grep(!/^\./, readdir($d));
      return $first // 0;
    }
    sub is_there { return -e $_[0] ? 1 : $!{ENOENT} ? 0 : undef; }
    sub made {
      my $is = is_there("$mount/kept/$_[0]");
      stat("$mount/kept/" . ($_[0] + 1)); # so that it is known not to be there
      return defined($is) ? $is * $_[0] : undef;
    }
    sub removed {
      my $is = is_there("$mount/names/" . ($_[0] - 1));
      return defined($is) ? $_[0] - $is : undef;
    }
    my %ways = (
      content => \&content, names => \&oldest, made => \&made, removed => \&removed,
      size => sub { return -s "$mount/grows"; }, target => sub { return readlink("$mount/link"); });
    my $looks = 0;
    sub is_mounted { return ((stat($mount))[0] // 0) > 0 && (stat(_))[0] != (stat("$mount/.."))[0]; }
    until (-e $stop) {
      for my $way ($only ? $only : sort keys %ways) {
        my $n = noted();
        next unless is_mounted();
        my $seen = $ways{$way}->($n);
        # Its node does not answer, or has gone.
        next if !defined($seen) && ($!{ETIMEDOUT} || $!{ENOTCONN} || $!{ECONNABORTED} || !is_mounted());
        defined($seen) or die "$way: $!\n";
        $seen >= $n or die "$way shows $seen, and $n was acknowledged before\n";
        $looks++;
      }
    }
    print "$looks\n";' "$(on "$1")" "$noted" "$BATS_TEST_TMPDIR/enough" "${2-}"
}

# start_looker I [WAY]
start_looker() {
  look_on "$@" >"$BATS_TEST_TMPDIR/looker-${#lookers[@]}" 2>&1 3>&- &
  lookers+=($!)
}

# start_rounds I: rounds are written through node I, and looked at on all.
start_rounds() {
  local i
  noted=$BATS_TEST_TMPDIR/noted lookers=()
  mkdir "$(on "$1" names)" "$(on "$1" kept)"
  write_rounds "$1" 2>"$BATS_TEST_TMPDIR/writer" 3>&- &
  writer=$!
  await 20 test -e "$noted"
  for i in 1 2 3; do
    start_looker "$i"
  done
}

has_noted() {
  (($(<"$noted") >= $1))
}

# rounds_go_on: soon, and more than one that had begun.
rounds_go_on() {
  await 5 has_noted $(($(<"$noted") + 5)) || {
    cat "$BATS_TEST_TMPDIR/writer"
    return 1
  }
}

# end_rounds: each looker has looked, has seen nothing old, and comes to its end.
end_rounds() {
  local i failed=
  touch "$BATS_TEST_TMPDIR/enough"
  kill "$writer"
  wait "$writer" || true
  for i in "${!lookers[@]}"; do
    took_at_most 8000 wait "${lookers[i]}" || failed=yes
    echo "looker $i: $(<"$BATS_TEST_TMPDIR/looker-$i")"
    [[ $(<"$BATS_TEST_TMPDIR/looker-$i") =~ ^[0-9]{3,}$ ]] || failed=yes
  done
  [[ -z $failed ]]
}

# make_files_on I: until the lookers end; each is made, or times out.
make_files_on() {
  exec perl -e '
    use Errno;
    for (my $i = 0; ! -e $ARGV[1]; $i++) {
      open(F, ">", "$ARGV[0]/file-$i") && close(F) or $!{ETIMEDOUT} or die "file-$i: $!\n";
    }' "$(on "$1")" "$BATS_TEST_TMPDIR/enough"
}

# lead I: it is made the leader, while rounds go on.
lead() {
  ctl "$1" member transfer-leader "n$1"
  rounds_go_on
}

@test "leaders change, and one is stopped for ten seconds: on no node is anything old seen" {
  local maker stopped_ms
  await_leases
  start_rounds 1
  lead 2
  lead 1
  lead 3
  # Who asks the kernel alone goes on for as long as that answers.
  start_looker 3 size
  # In the middle of whatever it does for its lookers, and for one who makes files.
  make_files_on 3 >"$BATS_TEST_TMPDIR/maker" 2>&1 3>&- &
  maker=$!
  await 10 test -e "$(on 3 file-5)"
  stopped_ms=$(now_ms)
  cluster_signal STOP 3
  rounds_go_on
  sleep $((10 - ($(now_ms) - stopped_ms) / 1000))
  cluster_signal CONT 3
  await 5 cluster_serves 3
  rounds_go_on
  end_rounds
  took_at_most 5000 wait "$maker" || {
    cat "$BATS_TEST_TMPDIR/maker"
    return 1
  }
}

# start_ahead I SECONDS: node I once more, by clocks that are ahead.
start_ahead() {
  local keelfs=$cluster_keelfs
  cluster_stop "$1"
  printf '#!/bin/sh\nexec unshare --time --boottime %d --monotonic %d %q "$@"\n' "$2" "$2" "$keelfs" \
    >"$BATS_TEST_TMPDIR/ahead"
  chmod +x "$BATS_TEST_TMPDIR/ahead"
  cluster_keelfs=$BATS_TEST_TMPDIR/ahead
  cluster_start "$1"
  cluster_keelfs=$keelfs
}

@test "clocks are weeks apart, and one goes back at a restart: on no node is anything old seen" {
  unshare --time --boottime 1000 true || skip "NOT TESTED: needs root and time namespaces"
  start_ahead 2 1000000
  start_ahead 3 9000000
  await_serving
  await_leases
  start_rounds 1
  lead 2
  lead 3
  cluster_kill 3
  rounds_go_on
  cluster_start 3
  await 10 cluster_serves 3
  lead 3
  end_rounds
}

# --- that nothing gets stuck ---

# churn I WORKER COUNT: creates, looks at, renames and removes files of one directory, and
# directories in their place.
churn() {
  perl -e '
    my ($dir, $worker, $count) = @ARGV;
    for my $i (1 .. $count) {
      my $file = "$dir/w$worker-$i";
      open(my $f, ">", $file) or die "$file: $!";
      print $f "x"; close($f) or die "$file: $!";
      (stat($file))[7] == 1 or die "$file: $!";
      my $moved = "$dir/m$worker-$i";
      rename($file, $moved) or die "$moved: $!";
      -e $file and die "$file is still there";
      mkdir($file) or die "$file: $!";
      rmdir($file) or die "$file: $!";
      unlink($moved) or die "$moved: $!";
    }' "$(on "$1" d)" "$2" "$3"
}

@test "creators in one directory and those who look at it do not get in each other's way" {
  local i w pids=() lookers=()
  await_leases
  mkdir "$(on 1 d)"
  for i in 1 2 3; do
    timeout 60 perl -e 'while (1) {
        stat("$ARGV[0]"); stat("$ARGV[0]/none"); stat("$ARGV[0]/w${_}1-$_") for 1 .. 20;
        opendir(my $d, $ARGV[0]); readdir($d);
      }' \
      "$(on "$i" d)" &
    lookers+=($!)
    for w in 1 2; do
      timeout 60 bash -c "$(declare -f churn on); cluster_dir=$cluster_dir; churn $i $i$w 30" &
      pids+=($!)
    done
  done
  for w in "${pids[@]}"; do wait "$w"; done
  kill "${lookers[@]}"
  wait "${lookers[@]}" || true
  for i in 1 2 3; do [[ -z $(ls "$(on "$i" d)") ]]; done
}
