/* The daemon's command line. */
#include "fs/options.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 32

/* Parses what the shell would make of `line` (words apart by one space). */
static int parse(const char *line, struct options *options, struct err *e)
{
    char text[OPTIONS_FUSE_TEXT_MAX * 2];
    char *argv[WORDS_MAX + 1] = {"keelfs"};
    int argc = 1;

    cr_assert(strlen(line) < sizeof(text));
    strcpy(text, line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        cr_assert(argc < WORDS_MAX);
        argv[argc++] = word;
    }
    return options_parse(argc, argv, options, e);
}

static struct options parsed(const char *line)
{
    struct options options;
    struct err e;

    cr_assert_eq(parse(line, &options, &e), 0, "%s: %s", line, e.text);
    return options;
}

static void expect_refused(const char *line, const char *words)
{
    struct options options = {.name = "untouched"};
    struct err e;

    cr_assert_eq(parse(line, &options, &e), KE_INVALID, "%s", line);
    cr_assert(strstr(e.text, words), "%s: %s", line, e.text);
    cr_assert_null(strchr(e.text, '\n'), "%s", line);
    cr_assert_str_eq(options.name, "untouched");
}

Test(options, mount_point_alone_is_a_whole_configuration)
{
    struct options options = parsed("/mnt/kv");

    cr_assert_eq(options.action, OPTIONS_RUN);
    cr_assert_str_eq(options.mountpoint, "/mnt/kv");
    cr_assert_str_eq(options.name, "n1");
    cr_assert_str_eq(options.listen, "");
    cr_assert_str_eq(options.initial_members, "");
    cr_assert_str_eq(options.join, "");
    cr_assert_str_eq(options.advertise, "");
    cr_assert_not(options.learner);
    cr_assert_eq(options.log_gc_count, 0);
    cr_assert_eq(options.log_gc_bytes, 0);
    cr_assert_eq(options.snapshot_rate, 0);
    cr_assert_eq(options.op_timeout_ms, 5000);
    cr_assert_eq(options.election_timeout_ms, 1000);
    cr_assert_eq(options.heartbeat_ms, 100);
    cr_assert_not(options.foreground);
    cr_assert_not(options.stale_reads);
}

Test(options, caches_are_used_unless_told_otherwise)
{
    cr_assert_not(parsed("/m").no_cache);
    cr_assert(parsed("/m -o cache=none").no_cache);
    cr_assert(parsed("--cache none /m").no_cache);
    cr_assert_not(parsed("/m -o cache=none,cache=lease").no_cache);
    expect_refused("/m -o cache=some", "neither lease nor none");
}

Test(options, stale_reads_are_asked_for)
{
    cr_assert(parsed("/m -o stale_reads").stale_reads);
    cr_assert(parsed("--stale-reads /m").stale_reads);
    expect_refused("/m -o stale_reads=yes", "takes no value");
}

Test(options, every_setting_is_also_a_mount_option)
{
    struct options said = parsed("--name n2 --data-dir /d --listen h:1 --op-timeout 70 --heartbeat "
                                 "20 --election-timeout 200 --log-level debug --log-file /l "
                                 "--initial-members n1=a:1,n2=b:2 /m");
    struct options mounted = parsed(
        "/m -o name=n2,data_dir=/d,listen=h:1,op-timeout=70 -o heartbeat=20,"
        "election_timeout=200,log-level=debug,log_file=/l,initial_members=\"n1=a:1,n2=b:2\"");

    cr_assert_str_eq(mounted.name, said.name);
    cr_assert_str_eq(mounted.data_dir, "/d");
    cr_assert_str_eq(mounted.listen, "h:1");
    cr_assert_str_eq(mounted.log_file, "/l");
    cr_assert_str_eq(mounted.initial_members, "n1=a:1,n2=b:2");
    cr_assert_str_eq(said.initial_members, "n1=a:1,n2=b:2");
    cr_assert_eq(mounted.op_timeout_ms, 70);
    cr_assert_eq(mounted.heartbeat_ms, 20);
    cr_assert_eq(mounted.election_timeout_ms, 200);
    cr_assert_eq(mounted.log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(said.log_level, LOG_LEVEL_DEBUG);
}

Test(options, joining_and_its_limits_can_be_said_both_ways)
{
    struct options said = parsed("--name n4 --join a:1,b:2 --learner --listen 0.0.0.0:4 "
                                 "--advertise d:4 --log-gc-count 10 --log-gc-bytes 64K "
                                 "--snapshot-rate 1G /m");
    struct options mounted =
        parsed("/m -o name=n4,join=\"a:1,b:2\",learner,listen=0.0.0.0:4,advertise=d:4 "
               "-o log-gc-count=10,log_gc_bytes=65536,snapshot-rate=1024M");

    cr_assert_str_eq(said.join, "a:1,b:2");
    cr_assert_str_eq(mounted.join, "a:1,b:2");
    cr_assert(said.learner);
    cr_assert(mounted.learner);
    cr_assert_str_eq(said.advertise, "d:4");
    cr_assert_str_eq(mounted.advertise, "d:4");
    cr_assert_eq(said.log_gc_count, 10);
    cr_assert_eq(mounted.log_gc_count, 10);
    cr_assert_eq(said.log_gc_bytes, 65536);
    cr_assert_eq(mounted.log_gc_bytes, 65536);
    cr_assert_eq(said.snapshot_rate, 1ull << 30);
    cr_assert_eq(mounted.snapshot_rate, 1ull << 30);
}

Test(options, a_joiner_must_say_where_it_is_reached)
{
    expect_refused("/m --join a:1", "--listen HOST:PORT");
    expect_refused("/m --join a:1 --listen 0.0.0.0:1", "--advertise HOST:PORT");
    expect_refused("/m --join a:1 --listen [::]:1", "--advertise HOST:PORT");
    parsed("/m --join a:1 --advertise h:1");
    parsed("/m --join a:1 --listen h:1");
}

Test(options, a_node_joins_or_founds)
{
    expect_refused("/m --join a:1 --listen h:1 --initial-members n1=h:1", "either joins");
    expect_refused("/m --learner", "only a node that joins");
}

Test(options, mount_options_of_the_kernel_pass_and_those_of_others_are_dropped)
{
    struct options options =
        parsed("-o rw,allow_other,_netdev -o x-systemd.automount,noauto,fsname=kv,nofail /m");

    cr_assert_str_eq(options.fuse_options, "rw,allow_other,fsname=kv");
}

Test(options, what_the_helper_of_mount_adds_is_not_asked_for)
{
    cr_assert_str_eq(parsed("kv /m -o rw,allow_other,dev,suid").fuse_options,
                     "rw,allow_other,fsname=kv");
    cr_assert_str_eq(parsed("kv /m -o rw,nosuid,dev").fuse_options, "rw,nosuid,fsname=kv");
    cr_assert_str_eq(parsed("kv /m -o rw,nodev,suid").fuse_options, "rw,nodev,fsname=kv");
    cr_assert_str_eq(parsed("kv /m -o rw,allow_suid,allow_dev,dev,suid").fuse_options,
                     "rw,suid,dev,fsname=kv");
    cr_assert_str_eq(parsed("kv /m -o rw,nosuid,nodev").fuse_options, "rw,nosuid,nodev,fsname=kv");
    cr_assert_str_eq(parsed("-o rw,dev,suid kv /m").fuse_options, "rw,dev,suid,fsname=kv");
    cr_assert_str_eq(parsed("/m -o dev,suid").fuse_options, "dev,suid");
}

Test(options, a_remount_takes_what_mount_repeats_of_the_line_and_of_the_mount)
{
    struct options options = parsed("kv /m -o ro,relatime,remount,user_id=0,group_id=0,name=n2,"
                                    "default_permissions,allow_other,dev,suid");

    cr_assert_eq(options.action, OPTIONS_REMOUNT);
    cr_assert_str_eq(options.mountpoint, "/m");
    cr_assert_str_eq(options.fuse_options, "ro,default_permissions,allow_other,fsname=kv");
    expect_refused("-o remount", "no mount point");
    expect_refused("-o remount,bogus /m", "unknown mount option 'bogus'");
}

Test(options, source_of_an_fstab_line_names_the_file_system)
{
    struct options options = parsed("keelfs /m -o rw");

    cr_assert_str_eq(options.mountpoint, "/m");
    cr_assert_str_eq(options.fuse_options, "rw,fsname=keelfs");
}

Test(options, relative_paths_become_absolute)
{
    cr_assert_eq(chdir("/usr"), 0);
    struct options options = parsed("--data-dir data --log-file log/n1.log mnt");

    cr_assert_str_eq(options.mountpoint, "/usr/mnt");
    cr_assert_str_eq(options.data_dir, "/usr/data");
    cr_assert_str_eq(options.log_file, "/usr/log/n1.log");
}

Test(options, default_data_directory_follows_the_name)
{
    setenv("XDG_STATE_HOME", "/state", 1);
    struct options options = parsed("--name n7 /m");

    cr_assert_str_eq(options.data_dir, geteuid() == 0 ? "/var/lib/keelfs/n7" : "/state/keelfs/n7");
}

Test(options, help_and_version_need_no_mount_point)
{
    cr_assert_eq(parsed("--help").action, OPTIONS_HELP);
    cr_assert_eq(parsed("-V").action, OPTIONS_VERSION);
}

Test(options, what_is_wrong_is_said_in_one_line)
{
    expect_refused("", "no mount point");
    expect_refused("a b c", "too many arguments: 'c'");
    expect_refused("/m --bogus", "unknown option '--bogus'");
    expect_refused("/m -x", "unknown option '-x'");
    expect_refused("/m --name", "option '--name' needs a value");
    expect_refused("/m -o bogus", "unknown mount option 'bogus'");
    expect_refused("/m -o name", "'name' needs a value");
    expect_refused("/m -o \"name=n2", "not closed");
    expect_refused("/m --name a/b", "a/b");
    expect_refused("/m --name ..", "..");
    expect_refused("/m --listen nowhere", "nowhere");
    expect_refused("/m --listen h:0", "h:0");
    expect_refused("/m --listen h:65536", "h:65536");
    expect_refused("/m --op-timeout 5s", "5s");
    expect_refused("/m --op-timeout -1", "-1");
    expect_refused("/m --heartbeat 99999999999999999999", "99999999999999999999");
    expect_refused("/m --log-level loud", "loud");
    expect_refused("/m --join a:1,", "HOST:PORT");
    expect_refused("/m --join nowhere", "join: address \"nowhere\"");
    expect_refused("/m --advertise nowhere", "nowhere");
    expect_refused("/m --learner=yes", "--learner=yes");
    expect_refused("/m -o learner=yes", "'learner' takes no value");
    expect_refused("/m --log-gc-count 0", "log-gc-count '0'");
    expect_refused("/m --log-gc-count 1k", "log-gc-count '1k'");
    expect_refused("/m --log-gc-bytes 1K", "from 65536");
    expect_refused("/m --log-gc-bytes 1MB", "'1MB'");
    expect_refused("/m --log-gc-bytes 99999999999999G", "'99999999999999G'");
    expect_refused("/m --snapshot-rate fast", "snapshot-rate 'fast'");
    expect_refused("/m --initial-members n1", "n1");
    expect_refused("/m --initial-members n2=h:1", "n1");
    expect_refused("/m --initial-members n1=h:1,n1=h:2", "twice");
}

Test(options, heartbeats_that_come_too_seldom_for_the_election_timeout_are_refused)
{
    expect_refused("/m --heartbeat 101 --election-timeout 500", "5 times");
    parsed("/m --heartbeat 100 --election-timeout 500");
}

Test(options, mount_options_that_are_too_long_are_refused)
{
    char line[OPTIONS_FUSE_TEXT_MAX + 64] = "/m -o fsname=";

    memset(line + strlen(line), 'x', OPTIONS_FUSE_TEXT_MAX);
    expect_refused(line, "longer than");
}

Test(options, timeouts_become_ticks_of_at_most_20_ms)
{
    struct options_ticks ticks = options_ticks(100, 500);
    cr_assert_eq(ticks.tick_ms, 20);
    cr_assert_eq(ticks.heartbeat_ticks, 5);
    cr_assert_eq(ticks.election_ticks, 25);

    ticks = options_ticks(10, 55);
    cr_assert_eq(ticks.tick_ms, 5);
    cr_assert_eq(ticks.heartbeat_ticks, 2);
    cr_assert_eq(ticks.election_ticks, 11);

    ticks = options_ticks(1000, 5010);
    cr_assert_eq(ticks.tick_ms, 20);
    cr_assert_eq(ticks.heartbeat_ticks, 50);
    cr_assert_eq(ticks.election_ticks, 251, "rounded up");
}
