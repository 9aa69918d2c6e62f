/* keelctl as a script sees it: exit status, what is on stdout, one line on stderr. */
#include "capture.h"
#include "fake_store.h"
#include "inbox.h"

#include "raftstore/memory.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 1024
#define NOBODY        "127.0.0.1:1"

enum { OK, NOT_FOUND, USAGE, UNAVAILABLE, REFUSED, OUTPUT };

/* A node for keelctl, and what keelctl printed. */
struct shell {
    struct inbox *inbox;
    struct store *store;
    struct rpc_server *server;
    char address[INBOX_ADDRESS_MAX];
    struct capture *capture;
    const char *out;
    size_t out_size;
    const char *err;
};

static struct shell *shell_open(void)
{
    struct shell *shell = mem_zalloc(sizeof(*shell));
    shell->inbox = inbox_new();
    shell->store = fake_store_new();
    shell->server = inbox_serve(shell->inbox, 1, 0, shell->store);
    (void)inbox_address(shell->server, shell->address);
    shell->capture = capture_new();
    return shell;
}

static void shell_close(struct shell *shell)
{
    capture_free(shell->capture);
    if (shell->server != NULL)
        inbox_stop(shell->server);
    fake_store_free(shell->store);
    inbox_free(shell->inbox);
    free(shell);
}

/* Runs keelctl with `arguments`; the node is the default endpoint. */
static int run(struct shell *shell, const char *arguments)
{
    int status = capture_run(shell->capture, shell->address, arguments);
    shell->out = shell->capture->out;
    shell->out_size = shell->capture->out_size;
    shell->err = shell->capture->err;
    return status;
}

/* Fails with this status, nothing on stdout and one line that has these words. */
static void expect_failure(struct shell *shell, const char *arguments, int status,
                           const char *words)
{
    cr_assert_eq(run(shell, arguments), status, "%s: %s", arguments, shell->err);
    cr_assert_eq(shell->out_size, 0, "%s: %s", arguments, shell->out);
    capture_expect_error(shell->capture, arguments, words);
}

static void expect_output(struct shell *shell, const char *arguments, const char *output)
{
    cr_assert_eq(run(shell, arguments), OK, "%s: %s", arguments, shell->err);
    cr_assert_str_eq(shell->out, output, "%s", arguments);
    cr_assert_str_eq(shell->err, "", "%s", arguments);
}

Test(keelctl, a_wrong_command_line_is_status_2, .timeout = 60)
{
    static const char *const lines[][2] = {
        {"", "no command"},
        {"frobnicate", "unknown command 'frobnicate'"},
        {"get", "needs a key"},
        {"get a b", "too many arguments: 'b'"},
        {"status x", "too many arguments"},
        {"--what get a", "unknown option '--what'"},
        {"get a --timeout", "needs a value"},
        {"get a --timeout 0", "--timeout '0'"},
        {"get a --timeout 1x", "--timeout '1x'"},
        {"scan --limit -1", "--limit '-1'"},
        {"--endpoint nowhere get a", "'nowhere' is not HOST:PORT"},
        {"--endpoint , get a", "no endpoint"},
    };
    struct shell *shell = shell_open();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_failure(shell, lines[i][0], USAGE, lines[i][1]);
    cr_assert_eq(fake_store_op_total(shell->store), 0);
    shell_close(shell);
}

Test(keelctl, help_and_version_are_output, .timeout = 60)
{
    static const char *const lines[][2] = {
        {"--help", "Exit status:"},
        {"get --help", "Exit status:"},
        {"put --help", "put [--cf CF] KEY [VALUE]"},
        {"del --help", "del [--cf CF] KEY"},
        {"scan --help", "scan [--limit N]"},
        {"status -h", "What the node that is asked knows"},
        {"check --help", "1 they differ"},
        {"recover --help", "--data-dir DIR"},
        {"member --help", "transfer-leader [NAME]"},
        {"member nonsense --help", "transfer-leader [NAME]"},
        {"member add --help", "--wait"},
        {"member add n1=h:1 --help", "--wait"},
        {"member remove --help", "Takes a member out"},
    };
    struct shell *shell = shell_open();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        cr_assert_eq(run(shell, lines[i][0]), OK, "%s", lines[i][0]);
        cr_assert_not_null(strstr(shell->out, lines[i][1]), "%s: %s", lines[i][0], shell->out);
    }
    cr_assert_eq(run(shell, "--version"), OK);
    cr_assert_eq(strncmp(shell->out, "keelctl ", 8), 0);
    shell_close(shell);
}

Test(keelctl, get_prints_the_bytes_as_they_are, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    fake_store_set_value(shell->store, "a\0\xff\n", 4);
    cr_assert_eq(run(shell, "get k"), OK, "%s", shell->err);
    cr_assert_eq(shell->out_size, 4);
    cr_assert_eq(memcmp(shell->out, "a\0\xff\n", 4), 0);
    expect_output(shell, "get k --json", "{\"key\":\"k\",\"value_base64\":\"YQD/Cg==\"}\n");
    fake_store_set_value(shell->store, "two\nlines", 9);
    expect_output(shell, "get k --json", "{\"key\":\"k\",\"value\":\"two\\nlines\"}\n");
    fake_store_set_value(shell->store, "", 0);
    expect_output(shell, "get k", "");
    shell_close(shell);
}

Test(keelctl, a_key_that_is_not_there_is_status_1, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    expect_failure(shell, "get a/b", NOT_FOUND, "no such key: a/b");
    expect_failure(shell, "--json get a/b", NOT_FOUND, "no such key: a/b");
    shell_close(shell);
}

Test(keelctl, put_takes_its_value_from_the_line_or_from_stdin, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    expect_output(shell, "put k v", "");
    size_t small = fake_store_last_command_size(shell->store);
    expect_output(shell, "put k - < /proc/self/exe", "");
    cr_assert_gt(fake_store_last_command_size(shell->store), small + 10000);
    expect_output(shell, "put k", "");
    cr_assert_eq(fake_store_last_command_size(shell->store), small - 3);
    expect_output(shell, "put -- -k -v", "");
    shell_close(shell);
}

Test(keelctl, what_the_store_refuses_is_status_4, .timeout = 60)
{
    struct shell *shell = shell_open();
    expect_failure(shell, "put a//b v", REFUSED, "empty component");
    expect_failure(shell, "put '' v", REFUSED, "empty");
    expect_failure(shell, "get ../x", REFUSED, "..");
    expect_failure(shell, "get k --cf nope", REFUSED, "no column family 'nope'");
    cr_assert_eq(fake_store_op_total(shell->store), 0);
    fake_store_answer_all(shell->store, KE_IS_DIR);
    expect_failure(shell, "put k v", REFUSED, "is a directory");
    shell_close(shell);
}

Test(keelctl, a_value_over_the_limit_is_refused_without_asking, .timeout = 60)
{
    struct shell *shell = shell_open();
    expect_failure(shell, "put k - < /dev/zero", REFUSED, "8388608");
    cr_assert_eq(fake_store_op_total(shell->store), 0);
    shell_close(shell);
}

Test(keelctl, nobody_there_is_status_3, .timeout = 60)
{
    struct shell *shell = shell_open();
    expect_failure(shell, "-e " NOBODY " get k", UNAVAILABLE, "cannot connect to " NOBODY);
    expect_failure(shell, "-e " NOBODY ",127.0.0.1:2 status", UNAVAILABLE, "any of the 2");
    shell_close(shell);
}

Test(keelctl, the_next_endpoint_is_asked_when_one_is_not_there, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    fake_store_set_value(shell->store, "v", 1);
    expect_output(shell, "-e " NOBODY ",127.0.0.1:2,$KEELFS_ENDPOINT get k", "v");
    expect_output(shell, "-e " NOBODY ",127.0.0.1:2,$KEELFS_ENDPOINT put k v", "");
    shell_close(shell);
}

Test(keelctl, no_answer_in_time_is_status_3, .timeout = 60)
{
    struct shell *shell = shell_open();
    expect_failure(shell, "get k --timeout 200", UNAVAILABLE, "200 ms");
    cr_assert_null(strstr(shell->err, "not known"));
    fake_store_end(fake_store_take(shell->store), 0);
    expect_failure(shell, "put k v --timeout 200", UNAVAILABLE, "not known");
    fake_store_end(fake_store_take(shell->store), 0);
    shell_close(shell);
}

/* Ends the node while it works on a call. */
static void *stop_under_call(void *arg)
{
    struct shell *shell = arg;
    struct op *op = fake_store_take(shell->store);
    rpc_server_stop(shell->server);
    fake_store_end(op, KE_SHUTDOWN);
    rpc_server_free(shell->server);
    shell->server = NULL;
    return NULL;
}

static void lose_a_node(struct shell *shell, struct shell *other, const char *call, int status)
{
    char arguments[ARGUMENTS_MAX];
    (void)snprintf(arguments, sizeof(arguments), "-e %s,%s %s", shell->address, other->address,
                   call);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, stop_under_call, shell), 0);
    cr_assert_eq(run(shell, arguments), status, "%s", shell->err);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(keelctl, a_read_goes_to_the_next_node_when_one_goes_down, .timeout = 60)
{
    struct shell *shell = shell_open(), *other = shell_open();
    fake_store_answer_all(other->store, 0);
    fake_store_set_value(other->store, "v", 1);
    lose_a_node(shell, other, "get k", OK);
    cr_assert_str_eq(shell->out, "v");
    shell_close(shell);
    shell_close(other);
}

Test(keelctl, a_change_that_may_have_been_made_is_never_sent_again, .timeout = 60)
{
    struct shell *shell = shell_open(), *other = shell_open();
    fake_store_answer_all(other->store, 0);
    lose_a_node(shell, other, "put k v", UNAVAILABLE);
    cr_assert_not_null(strstr(shell->err, "not known"), "%s", shell->err);
    cr_assert_eq(fake_store_op_total(other->store), 0);
    shell_close(shell);
    shell_close(other);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

Test(keelctl, scan_prints_all_keys_page_by_page, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    fake_store_set_pairs(shell->store, 1000, 2);
    cr_assert_eq(run(shell, "scan"), OK, "%s", shell->err);
    cr_assert_eq(count_lines(shell->out), 1000);
    cr_assert_not_null(strstr(shell->out, "k000999\t\\x00\\x00\n"));
    cr_assert_eq(run(shell, "scan k000500"), OK, "%s", shell->err);
    cr_assert_eq(count_lines(shell->out), 500);
    cr_assert_eq(run(shell, "scan --limit 300"), OK, "%s", shell->err);
    cr_assert_eq(count_lines(shell->out), 300);
    expect_output(shell, "scan k000998 --json",
                  "[\n{\"key\":\"k000998\",\"value_base64\":\"AAA=\"},\n"
                  "{\"key\":\"k000999\",\"value_base64\":\"AAA=\"}\n]\n");
    expect_output(shell, "scan l", "");
    expect_output(shell, "scan l --json", "[\n]\n");
    shell_close(shell);
}

Test(keelctl, scan_takes_smaller_pages_of_large_values, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    fake_store_set_pairs(shell->store, 20, 1u << 20);
    cr_assert_eq(run(shell, "scan | cut -f1"), OK, "%s", shell->err);
    cr_assert_eq(count_lines(shell->out), 20);
    shell_close(shell);
}

Test(keelctl, output_that_cannot_be_written_is_status_5, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    fake_store_set_value(shell->store, "v", 1);
    cr_assert_eq(run(shell, "get k > /dev/full"), OUTPUT);
    cr_assert_not_null(strstr(shell->err, "No space left"), "%s", shell->err);
    shell_close(shell);
}

Test(keelctl, a_quota_is_shown_and_set_one_limit_at_a_time, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    fake_store_set_usage(shell->store, 4097, 12);
    expect_output(shell, "quota", "bytes  4097, no limit\nfiles  12, no limit\n");
    expect_output(shell, "quota --bytes 10K", "bytes  4097 of 10240\nfiles  12, no limit\n");
    expect_output(shell, "quota --files 100", "bytes  4097 of 10240\nfiles  12 of 100\n");
    expect_output(shell, "quota --bytes 2T --files 7",
                  "bytes  4097 of 2199023255552\nfiles  12 of 7\n");
    expect_output(shell, "quota --bytes 0 --json",
                  "{\n\t\"bytes\":\t4097,\n\t\"files\":\t12,\n\t\"quota_bytes\":\t0,\n"
                  "\t\"quota_files\":\t7\n}\n");
    shell_close(shell);
}

Test(keelctl, a_quota_that_is_no_number_is_status_2, .timeout = 60)
{
    struct shell *shell = shell_open();
    fake_store_answer_all(shell->store, 0);
    expect_failure(shell, "quota --bytes much", USAGE, "--bytes 'much' is not a number");
    expect_failure(shell, "quota --bytes -1", USAGE, "--bytes '-1' is not a number");
    expect_failure(shell, "quota --bytes 1KB", USAGE, "--bytes '1KB' is not a number");
    expect_failure(shell, "quota --bytes 99999999T", USAGE, "is not a number");
    expect_failure(shell, "quota --files 1K", USAGE, "--files '1K' is not a number");
    expect_output(shell, "quota", "bytes  0, no limit\nfiles  0, no limit\n");
    shell_close(shell);
}

Test(keelctl, status_is_a_table_or_json, .timeout = 60)
{
    struct shell *shell = shell_open();
    cr_assert_eq(run(shell, "status"), OK, "%s", shell->err);
    cr_assert_not_null(strstr(shell->out, "leader    n1\n"), "%s", shell->out);
    cr_assert_not_null(strstr(shell->out, "n2          2      h2:2     voter   98     silent\n"),
                       "%s", shell->out);
    cr_assert_eq(run(shell, "status --json"), OK, "%s", shell->err);
    cr_assert_not_null(strstr(shell->out, "\"commit_index\":\t100"), "%s", shell->out);
    shell_close(shell);
}
