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
    "\n"
    "  -e, --endpoint HOST:PORT[,HOST:PORT...]\n"
    "                      the nodes to ask, in turn until one can be reached\n"
    "                      (default: $KEELFS_ENDPOINT, or " DEFAULT_ENDPOINT ")\n"
    "  -t, --timeout MS    how long to wait for an answer (default: 5000)\n"
    "  -j, --json          status, get and scan print JSON; a value that is no UTF-8\n"
    "                      text is there as value_base64\n"
    "      --limit N       scan: at most N keys\n"
    "      --cf CF         get, put, del, scan: the column family: default (the files),\n"
    "                      lock or write\n"
    "  -h, --help          this text\n"
    "  -V, --version       the version\n"
    "\n"
    "A key is the path of its file below the mount, without a leading slash. Put --\n"
    "before a key or value that starts with a dash.\n"
    "\n"
    "Exit status:\n"
    "  0  done\n"
    "  1  get: there is no such key\n"
    "  2  the command line is wrong\n"
    "  3  no node could be reached, or none answered in time; after put or del it is\n"
    "     not known whether the change was made, unless the message says that\n"
    "     nothing could be reached\n"
    "  4  refused: a bad key, a value too large, a directory, ...; nothing changed\n"
    "  5  the output could not be written\n";

struct command {
    const char *name;
    size_t args_min;
    size_t args_max;
    int (*run)(const struct keelctl *ctl);
};

static const struct command commands[] = {
    {"status", 0, 0, keelctl_status}, {"get", 1, 1, keelctl_get},   {"put", 1, 2, keelctl_put},
    {"del", 1, 1, keelctl_del},       {"scan", 0, 1, keelctl_scan},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
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
    {"endpoint", required_argument, NULL, 'e'}, {"timeout", required_argument, NULL, 't'},
    {"json", no_argument, NULL, 'j'},           {"limit", required_argument, NULL, 'l'},
    {"cf", required_argument, NULL, 'c'},       {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},        {NULL, 0, NULL, 0},
};

/* What --help and --version leave to do. */
#define NOTHING_LEFT (-1)

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
    case 'h':
        (void)fputs(help, stdout);
        return NOTHING_LEFT;
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
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":e:t:jhV", options, NULL)) != -1) {
        if (option == ':')
            return keelctl_fail(KEELCTL_USAGE, "option '%s' needs a value; see keelctl --help",
                                argv[optind - 1]);
        if (option == '?')
            return keelctl_fail(KEELCTL_USAGE, "unknown option '%s'; see keelctl --help",
                                argv[optind - 1]);
        int status = parse_option(ctl, option, optarg);
        if (status != KEELCTL_OK)
            return status;
    }
    return KEELCTL_OK;
}

static int run(struct keelctl *ctl, int argc, char **argv)
{
    if (optind == argc)
        return keelctl_fail(KEELCTL_USAGE, "no command given; see keelctl --help");
    const struct command *command = find_command(argv[optind]);
    if (command == NULL)
        return keelctl_fail(KEELCTL_USAGE, "unknown command '%s'; see keelctl --help",
                            argv[optind]);
    ctl->command = command->name;
    ctl->args = argv + optind + 1;
    ctl->arg_count = (size_t)(argc - optind - 1);
    if (ctl->arg_count < command->args_min)
        return keelctl_fail(KEELCTL_USAGE, "%s needs a key; see keelctl --help", command->name);
    if (ctl->arg_count > command->args_max)
        return keelctl_fail(KEELCTL_USAGE, "%s: too many arguments: '%s'; see keelctl --help",
                            command->name, ctl->args[command->args_max]);
    int status = command->run(ctl);
    int output = keelctl_finish_output();
    return status != KEELCTL_OK ? status : output;
}

static int parse_and_run(struct keelctl *ctl, int argc, char **argv)
{
    int status = parse_options(ctl, argc, argv);
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
