/* keelctl: the admin and client tool of keelfs. */
#include "tools/keelctl.h"

#include "raftstore/log.h"
#include "raftstore/memory.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ENDPOINT   "127.0.0.1:20160"
#define DEFAULT_TIMEOUT_MS 5000
#define TIMEOUT_MAX_MS     3600000

static const char help[] =
    "usage: keelctl [OPTION...] COMMAND\n"
    "\n"
    "  status              the node that is asked, its cluster and members\n"
    "  get KEY             the bytes of a key, as they are\n"
    "  put KEY [VALUE]     makes or replaces a key; without VALUE, or with -, the\n"
    "                      value is read from stdin\n"
    "  del KEY             removes a key; one that is absent is no error\n"
    "  scan [START]        the keys from START on in byte order, each with its value:\n"
    "                      KEY <tab> VALUE; what is not printable as \\xNN\n"
    "  member COMMAND      who belongs to the cluster: list, add, add-learner, promote,\n"
    "                      remove, replace, set-address, transfer-leader\n"
    "  check               whether the data of all members is equal\n"
    "  quota               what the volume holds and may hold; --bytes, --files change it\n"
    "  recover             a cluster that lost its majority for good goes on from one\n"
    "                      member's data directory\n"
    "\n"
    "`keelctl COMMAND --help` says more about one.\n"
    "\n"
    "  -e, --endpoint HOST:PORT[,HOST:PORT...]\n"
    "                      the nodes to ask, in turn until one can be reached\n"
    "                      (default: $KEELFS_ENDPOINT, or " DEFAULT_ENDPOINT ")\n"
    "  -t, --timeout MS    how long to wait for an answer (default: 5000)\n"
    "  -j, --json          status, get, scan, member list, check, quota: as JSON; a value\n"
    "                      that is no UTF-8 text is there as value_base64\n"
    "      --limit N       scan: at most N keys\n"
    "      --cf CF         get, put, del, scan: the column family: default (the files),\n"
    "                      lock or write\n"
    "      --wait          member add, member replace: until the new member is a voter\n"
    "      --bytes N, --files N\n"
    "                      quota: the new limit\n"
    "      --data-dir DIR  recover: of the node that survived\n"
    "      --yes           recover: do it\n"
    "  -h, --help          this text, or a command's\n"
    "  -V, --version       the version\n"
    "\n"
    "A key is the path of its file below the mount, without a leading slash. Put --\n"
    "before a key or value that starts with a dash.\n"
    "\n"
    "Exit status:\n"
    "  0  done\n"
    "  1  get: there is no such key; check: the replicas differ\n"
    "  2  the command line is wrong; check: a member could not be asked\n"
    "  3  no node could be reached, or none answered in time; after a change it is not\n"
    "     known whether it was made, unless the message says that nothing could be\n"
    "     reached or nothing was changed\n"
    "  4  refused: a bad key, a value too large, no such member, ...; nothing changed\n"
    "  5  the output could not be written\n";

static const char status_help[] =
    "usage: keelctl [OPTION...] status\n"
    "\n"
    "What the node that is asked knows: itself, its log and the members. Only the leader\n"
    "knows how the others do; `keelctl member list` asks the leader. Answered without a\n"
    "majority too.\n";

static const char get_help[] =
    "usage: keelctl [OPTION...] get [--cf CF] KEY\n"
    "\n"
    "The bytes of the file KEY as they are, with nothing behind them. An empty file is a key\n"
    "with an empty value.\n"
    "\n"
    "Exit status: 1 there is no such key; the others as in keelctl --help.\n";

static const char put_help[] =
    "usage: keelctl [OPTION...] put [--cf CF] KEY [VALUE]\n"
    "\n"
    "Makes the file KEY, and the directories above it, or replaces its content at once.\n"
    "Without VALUE, or with -, the value is read from stdin; it has at most 8 MiB.\n";

static const char del_help[] =
    "usage: keelctl [OPTION...] del [--cf CF] KEY\n"
    "\n"
    "Removes the file KEY. One that is absent is no error; the directory it was in stays.\n";

static const char scan_help[] =
    "usage: keelctl [OPTION...] scan [--limit N] [--cf CF] [START]\n"
    "\n"
    "The keys from START on, or all of them, in byte order, a line for each: KEY <tab>\n"
    "VALUE, with what is not printable as \\xNN, \\n or \\t. START need not exist, and is no\n"
    "prefix: what comes behind it follows. It asks for a page at a time, so what changes\n"
    "meanwhile may be there or not.\n";

static const char check_help[] =
    "usage: keelctl [OPTION...] check\n"
    "\n"
    "Has every member hash all its data behind the same entry of the log, and compares.\n"
    "Writes go on meanwhile. With much data, give it time: --timeout 600000.\n"
    "\n"
    "Exit status: 0 all are equal; 1 they differ, and the odd ones are named; 2 those\n"
    "that could be asked are equal, but a member could not be asked; 3 and 4 as in\n"
    "keelctl --help.\n";

static const char quota_help[] =
    "usage: keelctl [OPTION...] quota [--bytes N] [--files N]\n"
    "\n"
    "What the volume holds and may hold. With an option that limit is changed, for all\n"
    "nodes: N bytes (K, M, G or T behind it: times 1024, ...) or N files, directories\n"
    "counted; 0: no limit. A volume that is over it keeps what it has: what adds to it\n"
    "fails with EDQUOT, removing always works.\n";

static const char recover_help[] =
    "usage: keelctl recover --data-dir DIR [--yes]\n"
    "\n"
    "For a cluster whose majority is lost for good: makes the member whose data\n"
    "directory is DIR, and whose keelfs does not run, the only member of a new cluster\n"
    "with the same data. First it says what it found and what will be lost; it changes\n"
    "something only with --yes.\n"
    "\n"
    "When several members survived, recover the one whose log ends last: by term, then\n"
    "by index. The others join the new cluster with empty data directories; their old\n"
    "ones are refused there.\n"
    "\n"
    "Exit status: 0 done; 2 the command line is wrong; 4 nothing was changed, for lack\n"
    "of --yes or for the reason that is given.\n";

static const struct keelctl_command commands[] = {
    {"status", 0, 0, "", keelctl_status, status_help},
    {"get", 1, 1, "a key", keelctl_get, get_help},
    {"put", 1, 2, "a key", keelctl_put, put_help},
    {"del", 1, 1, "a key", keelctl_del, del_help},
    {"scan", 0, 1, "", keelctl_scan, scan_help},
    {"member", 1, SIZE_MAX, "a command", keelctl_member, NULL},
    {"check", 0, 0, "", keelctl_check, check_help},
    {"quota", 0, 0, "", keelctl_quota, quota_help},
    {"recover", 0, 0, "", keelctl_recover, recover_help},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

const struct keelctl_command *keelctl_find_command(const struct keelctl_command *list, size_t count,
                                                   const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    }
    return NULL;
}

int keelctl_run_command(const struct keelctl *ctl, const struct keelctl_command *command)
{
    if (ctl->arg_count < command->args_min)
        return keelctl_fail(KEELCTL_USAGE, "%s needs %s; see keelctl %s --help", ctl->command,
                            command->needs, ctl->command);
    if (ctl->arg_count > command->args_max)
        return keelctl_fail(KEELCTL_USAGE, "%s: too many arguments: '%s'; see keelctl %s --help",
                            ctl->command, ctl->args[command->args_max], ctl->command);
    return command->run(ctl);
}

/* `text` is cut into pieces, and must live on. */
static int parse_endpoints(struct keelctl *ctl, char *text)
{
    char *save;
    ctl->endpoint_count = 0;
    for (char *at = strtok_r(text, ",", &save); at != NULL; at = strtok_r(NULL, ",", &save)) {
        const char *colon = strrchr(at, ':');
        if (colon == NULL || colon == at || colon[1] == '\0')
            return keelctl_fail(KEELCTL_USAGE, "endpoint '%s' is not HOST:PORT", at);
        if (ctl->endpoint_count == KEELCTL_ENDPOINTS_MAX)
            return keelctl_fail(KEELCTL_USAGE, "more than %d endpoints", KEELCTL_ENDPOINTS_MAX);
        ctl->endpoints[ctl->endpoint_count++] = at;
    }
    if (ctl->endpoint_count == 0)
        return keelctl_fail(KEELCTL_USAGE, "no endpoint given");
    return KEELCTL_OK;
}

static int parse_number(const char *name, const char *text, uint32_t max, uint32_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || value == 0 || value > max)
        return keelctl_fail(KEELCTL_USAGE, "%s '%s' is not a number from 1 to %u", name, text, max);
    *ret_value = (uint32_t)value;
    return KEELCTL_OK;
}

static const struct option options[] = {
    {"endpoint", required_argument, NULL, 'e'},
    {"timeout", required_argument, NULL, 't'},
    {"json", no_argument, NULL, 'j'},
    {"limit", required_argument, NULL, 'l'},
    {"cf", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"wait", no_argument, NULL, 'w'},
    {"yes", no_argument, NULL, 'y'},
    {"data-dir", required_argument, NULL, 'd'},
    {"bytes", required_argument, NULL, 'b'},
    {"files", required_argument, NULL, 'f'},
    {NULL, 0, NULL, 0},
};

/* What --version leaves to do, and --help when the command is known. */
#define NOTHING_LEFT (-1)
#define HELP_WANTED  (-2)

static int parse_option(struct keelctl *ctl, int option, char *value)
{
    switch (option) {
    case 'e':
        return parse_endpoints(ctl, value);
    case 't':
        return parse_number("--timeout", value, TIMEOUT_MAX_MS, &ctl->timeout_ms);
    case 'l':
        return parse_number("--limit", value, UINT32_MAX, &ctl->limit);
    case 'c':
        ctl->cf = value;
        return KEELCTL_OK;
    case 'j':
        ctl->json = true;
        return KEELCTL_OK;
    case 'd':
        ctl->data_dir = value;
        return KEELCTL_OK;
    case 'b':
        ctl->bytes = value;
        return KEELCTL_OK;
    case 'f':
        ctl->files = value;
        return KEELCTL_OK;
    case 'w':
        ctl->wait = true;
        return KEELCTL_OK;
    case 'y':
        ctl->yes = true;
        return KEELCTL_OK;
    case 'h':
        return HELP_WANTED;
    case 'V':
        (void)puts("keelctl " KEELFS_VERSION);
        return NOTHING_LEFT;
    default:
        return KEELCTL_USAGE;
    }
}

static int parse_options(struct keelctl *ctl, int argc, char **argv)
{
    int option;
    int status = KEELCTL_OK;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":e:t:jhV", options, NULL)) != -1) {
        if (option == ':')
            return keelctl_fail(KEELCTL_USAGE, "option '%s' needs a value; see keelctl --help",
                                argv[optind - 1]);
        if (option == '?')
            return keelctl_fail(KEELCTL_USAGE, "unknown option '%s'; see keelctl --help",
                                argv[optind - 1]);
        int found = parse_option(ctl, option, optarg);
        /* Which help is meant is known at the end. */
        if (found == HELP_WANTED)
            status = HELP_WANTED;
        else if (found != KEELCTL_OK)
            return found;
    }
    return status;
}

static int print_help(int argc, char **argv)
{
    const struct keelctl_command *command =
        optind < argc ? keelctl_find_command(commands, COMMAND_COUNT, argv[optind]) : NULL;
    const char *text = command != NULL ? command->help : help;
    if (text == NULL)
        text = keelctl_member_help(argv + optind + 1, (size_t)(argc - optind - 1));
    (void)fputs(text, stdout);
    return keelctl_finish_output();
}

static int run(struct keelctl *ctl, int argc, char **argv)
{
    if (optind == argc)
        return keelctl_fail(KEELCTL_USAGE, "no command given; see keelctl --help");
    const struct keelctl_command *command =
        keelctl_find_command(commands, COMMAND_COUNT, argv[optind]);
    if (command == NULL)
        return keelctl_fail(KEELCTL_USAGE, "unknown command '%s'; see keelctl --help",
                            argv[optind]);
    ctl->command = command->name;
    ctl->args = argv + optind + 1;
    ctl->arg_count = (size_t)(argc - optind - 1);
    int status = keelctl_run_command(ctl, command);
    int output = keelctl_finish_output();
    return status != KEELCTL_OK ? status : output;
}

static int parse_and_run(struct keelctl *ctl, int argc, char **argv)
{
    int status = parse_options(ctl, argc, argv);
    if (status == HELP_WANTED)
        return print_help(argc, argv);
    if (status == NOTHING_LEFT)
        return keelctl_finish_output();
    return status == KEELCTL_OK ? run(ctl, argc, argv) : status;
}

int main(int argc, char **argv)
{
    struct keelctl ctl = {.timeout_ms = DEFAULT_TIMEOUT_MS, .cf = ""};
    /* What the calls have to say is said once, by keelctl_fail(). */
    log_open("keelctl", LOG_LEVEL_ERROR, 0);
    const char *given = getenv("KEELFS_ENDPOINT");
    char *endpoints = mem_strdup(given != NULL && given[0] != '\0' ? given : DEFAULT_ENDPOINT);
    int status = parse_endpoints(&ctl, endpoints);
    if (status == KEELCTL_OK)
        status = parse_and_run(&ctl, argc, argv);
    free(endpoints);
    return status;
}
