/* The small parts of the raft thread, each alone. */
#include "raftstore/deadline.h"
#include "raftstore/entry_cache.h"
#include "raftstore/holdback.h"
#include "raftstore/mailbox.h"
#include "raftstore/members.h"
#include "raftstore/proposals.h"
#include "raftstore/reads.h"

#include "keelfspb.pb-c.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

/* --- members --- */

Test(members, the_same_list_in_any_order_makes_the_same_cluster)
{
    struct store_member a[STORE_MEMBERS_MAX], b[STORE_MEMBERS_MAX];
    size_t a_count, b_count;
    cr_assert_eq(members_parse("n2=h:2,n1=h:1,n3=h:3", a, &a_count, NULL), 0);
    cr_assert_eq(members_parse("n3=h:3,n2=h:2,n1=h:1", b, &b_count, NULL), 0);
    cr_assert_eq(a_count, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(a[i].id, i + 1);
        cr_assert_str_eq(a[i].name, b[i].name);
    }
    cr_assert_eq(members_cluster_id(a, a_count), members_cluster_id(b, b_count));
    cr_assert_eq(members_parse("n3=h:3,n2=h:2,n1=h:9", b, &b_count, NULL), 0);
    cr_assert_neq(members_cluster_id(a, a_count), members_cluster_id(b, b_count));
}

Test(members, a_malformed_list_is_refused_with_words)
{
    const char *bad[] = {
        "",
        "n1",
        "n1=",
        "n1=host",
        "n1=host:0",
        "n1=host:70000",
        "n1=host:1x",
        "=host:1",
        "n 1=host:1",
        "n1=h:1,",
        "n1=h:1,n1=h:2",
        "n1=h:1,n2=h:1",
        "a=h:1,b=h:2,c=h:3,d=h:4,e=h:5,f=h:6,g=h:7,h=h:8,i=h:9,j=h:10",
    };
    struct store_member members[STORE_MEMBERS_MAX];
    size_t count;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = {0};
        cr_assert_eq(members_parse(bad[i], members, &count, &e), KE_INVALID, "%s", bad[i]);
        cr_assert_neq(e.text[0], '\0');
    }
}

/* --- entry cache --- */

static struct raft_entry *entry_at(uint64_t index, uint64_t term, size_t size)
{
    struct raft_entry *entry = raft_entry_alloc(RAFT_ENTRY_NORMAL, size);
    memset(entry->data, 0, size);
    entry->index = index;
    entry->term = term;
    return entry;
}

static void cache_add(struct entry_cache *cache, uint64_t index, uint64_t term, size_t size)
{
    struct raft_entry *entry = entry_at(index, term, size);
    entry_cache_append(cache, entry);
    raft_entry_unref(entry);
}

Test(entry_cache, keeps_the_newest_within_its_bounds)
{
    struct entry_cache cache;
    entry_cache_init(&cache);
    for (uint64_t i = 1; i <= 40; i++)
        cache_add(&cache, i, 1, 1u << 20);
    cr_assert_null(entry_cache_get(&cache, 8));
    cr_assert_eq(entry_cache_get(&cache, 9)->index, 9);
    cr_assert_eq(entry_cache_get(&cache, 40)->index, 40);
    cr_assert_null(entry_cache_get(&cache, 41));
    cr_assert_leq(cache.bytes, ENTRY_CACHE_BYTES_MAX);
    for (uint64_t i = 41; i <= 41 + ENTRY_CACHE_ENTRIES_MAX; i++)
        cache_add(&cache, i, 1, 1);
    cr_assert_eq(cache.count, ENTRY_CACHE_ENTRIES_MAX);
    cr_assert_null(entry_cache_get(&cache, 41));
    cr_assert_not_null(entry_cache_get(&cache, 42));
    entry_cache_release(&cache);
}

Test(entry_cache, an_entry_replaces_all_from_its_index_on)
{
    struct entry_cache cache;
    entry_cache_init(&cache);
    for (uint64_t i = 1; i <= 10; i++)
        cache_add(&cache, i, 1, 8);
    cache_add(&cache, 5, 2, 8);
    cr_assert_eq(entry_cache_get(&cache, 4)->term, 1);
    cr_assert_eq(entry_cache_get(&cache, 5)->term, 2);
    cr_assert_null(entry_cache_get(&cache, 6));
    cache_add(&cache, 100, 3, 8);
    cr_assert_null(entry_cache_get(&cache, 5), "a gap must empty the cache");
    cr_assert_eq(entry_cache_get(&cache, 100)->term, 3);
    entry_cache_release(&cache);
}

/* --- ops and deadlines --- */

struct counted {
    struct op op;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int calls;
    int code;
};

static void counted_done(struct op *op, const struct op_result *result)
{
    struct counted *counted = (struct counted *)op;
    pthread_mutex_lock(&counted->lock);
    counted->calls++;
    counted->code = result->code;
    pthread_cond_signal(&counted->ended);
    pthread_mutex_unlock(&counted->lock);
}

static void counted_init(struct counted *counted, uint32_t timeout_ms)
{
    *counted =
        (struct counted){.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    op_init(&counted->op, timeout_ms, counted_done, NULL);
}

Test(op, ends_once)
{
    struct counted counted;
    counted_init(&counted, 1000);
    op_fail(&counted.op, KE_BUSY);
    op_finish(&counted.op, &(struct op_result){0});
    cr_assert_eq(counted.calls, 1);
    cr_assert_eq(counted.code, KE_BUSY);
    cr_assert_not(op_cancel(&counted.op));
}

Test(op, a_cancelled_one_is_never_called)
{
    struct counted counted;
    counted_init(&counted, 1000);
    cr_assert(op_cancel(&counted.op));
    op_finish(&counted.op, &(struct op_result){0});
    cr_assert_eq(counted.calls, 0);
}

Test(deadline, an_op_that_nobody_answers_times_out)
{
    struct deadlines *deadlines = deadlines_new();
    struct counted counted;
    counted_init(&counted, 30);
    deadlines_add(deadlines, &counted.op);
    pthread_mutex_lock(&counted.lock);
    while (counted.calls == 0)
        pthread_cond_wait(&counted.ended, &counted.lock);
    pthread_mutex_unlock(&counted.lock);
    cr_assert_eq(counted.code, KE_TIMEOUT);
    cr_assert_geq(clock_ns(), counted.op.deadline_ns);
    deadlines_free(deadlines);
}

Test(deadline, what_is_left_at_the_end_is_told)
{
    struct deadlines *deadlines = deadlines_new();
    struct counted counted;
    counted_init(&counted, 60000);
    deadlines_add(deadlines, &counted.op);
    deadlines_free(deadlines);
    cr_assert_eq(counted.calls, 1);
    cr_assert_eq(counted.code, KE_SHUTDOWN);
}

/* --- mailbox --- */

Test(mailbox, keeps_the_order_and_the_bound)
{
    struct mailbox *box = mailbox_new(2);
    struct mail mails[4] = {{.kind = 0}, {.kind = 1}, {.kind = 2}, {.kind = 3}};
    cr_assert(mailbox_put(box, &mails[0]));
    cr_assert(mailbox_put(box, &mails[1]));
    cr_assert_not(mailbox_put(box, &mails[2]));
    mailbox_put_always(box, &mails[3]);
    struct mail *all = mailbox_take_all(box, 0);
    cr_assert_eq(all, &mails[0]);
    cr_assert_eq(all->next, &mails[1]);
    cr_assert_eq(all->next->next, &mails[3]);
    cr_assert_null(all->next->next->next);
    cr_assert_null(mailbox_take_all(box, 0));
    mailbox_free(box);
}

#define NAP_MS 50

static uint64_t ns_since(uint64_t start_ns)
{
    return clock_ns() - start_ns;
}

Test(mailbox, a_nap_goes_on_when_there_is_only_what_can_wait)
{
    struct mailbox *box = mailbox_new(2);
    struct mail mails[3] = {{.kind = 0}, {.kind = 1}, {.kind = 2}};
    cr_assert(mailbox_put_soon(box, &mails[0]));
    uint64_t start_ns = clock_ns();
    struct mail *all = mailbox_nap(box, NAP_MS);
    cr_assert_geq(ns_since(start_ns), NAP_MS * 1000000ull);
    cr_assert_eq(all, &mails[0]);
    cr_assert_null(all->next);
    cr_assert(mailbox_put_soon(box, &mails[1]));
    cr_assert_eq(mailbox_take_all(box, 600000), &mails[1], "who does not nap takes it at once");
    mailbox_put_soon_always(box, &mails[1]);
    cr_assert(mailbox_put(box, &mails[2]));
    cr_assert_not(mailbox_put_soon(box, &mails[0]));
    all = mailbox_nap(box, 600000);
    cr_assert_eq(all, &mails[1]);
    cr_assert_eq(all->next, &mails[2]);
    mailbox_free(box);
}

static void *put_what_can_wait(void *arg)
{
    static struct mail mail;
    mailbox_put_soon_always(arg, &mail);
    return NULL;
}

static void *put_what_cannot(void *arg)
{
    static struct mail mail;
    mailbox_put_always(arg, &mail);
    return NULL;
}

Test(mailbox, only_what_cannot_wait_wakes_an_owner_that_naps, .timeout = 60)
{
    struct mailbox *box = mailbox_new(2);
    pthread_t thread;
    uint64_t start_ns = clock_ns();
    pthread_create(&thread, NULL, put_what_can_wait, box);
    cr_assert_not_null(mailbox_nap(box, NAP_MS));
    cr_assert_geq(ns_since(start_ns), NAP_MS * 1000000ull);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, put_what_cannot, box);
    cr_assert_not_null(mailbox_nap(box, 600000));
    pthread_join(thread, NULL);
    mailbox_free(box);
}

/* --- proposals --- */

static uint64_t add_put(struct proposals *proposals, struct counted *counted, size_t value_size)
{
    static char value[2u << 20];
    counted_init(counted, 60000);
    struct command *cmd = command_new();
    command_put(cmd, "default", "key", 3, value, value_size);
    uint64_t seq = 0;
    cr_assert(proposals_add(proposals, &counted->op, &cmd, &seq));
    cr_assert_null(cmd);
    return seq;
}

/* The sequence numbers in the next entry, marked as sent; their number. */
static size_t send_next(struct proposals *proposals, uint64_t tick, uint64_t *seqs,
                        uint64_t *ret_floor)
{
    struct raft_entry *entry = proposals_pack(proposals);
    if (entry == NULL)
        return 0;
    Keelfspb__CommandBatch *batch = keelfspb__command_batch__unpack(NULL, entry->size, entry->data);
    cr_assert_not_null(batch);
    size_t count = batch->n_commands;
    for (size_t i = 0; i < count; i++)
        seqs[i] = batch->commands[i]->seq;
    *ret_floor = batch->floor;
    keelfspb__command_batch__free_unpacked(batch, NULL);
    raft_entry_unref(entry);
    proposals_mark_sent(proposals, tick);
    return count;
}

Test(proposals, commands_that_wait_share_an_entry_up_to_its_size)
{
    struct proposals *proposals = proposals_new(1, 1);
    struct counted counted[4];
    uint64_t seqs[PROPOSALS_ENTRY_COMMANDS_MAX], floor;
    add_put(proposals, &counted[0], 100);
    add_put(proposals, &counted[1], 100);
    add_put(proposals, &counted[2], PROPOSALS_ENTRY_BYTES_MAX);
    add_put(proposals, &counted[3], 100);
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 2);
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 1);
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 1);
    cr_assert_eq(seqs[0], 4);
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 0);
    proposals_free(proposals);
}

Test(proposals, most_are_sent_until_as_many_wait_or_they_are_applied)
{
    struct proposals *proposals = proposals_new(1, 1);
    struct counted counted[4];
    uint64_t seqs[PROPOSALS_ENTRY_COMMANDS_MAX], floor;
    add_put(proposals, &counted[0], 10);
    cr_assert_not(proposals_most_are_sent(proposals));
    add_put(proposals, &counted[1], 10);
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 2);
    cr_assert(proposals_most_are_sent(proposals));
    add_put(proposals, &counted[2], 10);
    cr_assert(proposals_most_are_sent(proposals));
    add_put(proposals, &counted[3], 10);
    cr_assert_not(proposals_most_are_sent(proposals));
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 2);
    for (uint64_t seq = 1; seq <= 4; seq++)
        proposals_complete(proposals, seq);
    cr_assert_not(proposals_most_are_sent(proposals));
    proposals_free(proposals);
}

Test(proposals, the_floor_never_passes_what_may_be_sent_again)
{
    struct proposals *proposals = proposals_new(1, 1);
    struct counted counted[4];
    uint64_t seqs[PROPOSALS_ENTRY_COMMANDS_MAX], floor;
    for (size_t i = 0; i < 3; i++)
        add_put(proposals, &counted[i], 10);
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 3);
    proposals_complete(proposals, 2);
    proposals_resend_all(proposals);
    cr_assert_eq(send_next(proposals, 2, seqs, &floor), 2);
    cr_assert_eq(floor, 1);
    cr_assert_eq(seqs[0], 1);
    cr_assert_eq(seqs[1], 3);
    proposals_complete(proposals, 1);
    add_put(proposals, &counted[3], 10);
    cr_assert_eq(send_next(proposals, 3, seqs, &floor), 1);
    cr_assert_eq(floor, 3);
    proposals_free(proposals);
}

Test(proposals, silence_sends_again_more_and_more_rarely)
{
    struct proposals *proposals = proposals_new(1, 1);
    struct counted counted;
    uint64_t seqs[PROPOSALS_ENTRY_COMMANDS_MAX], floor;
    add_put(proposals, &counted, 10);
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 1);
    proposals_resend_silent(proposals, 10, 10);
    cr_assert_eq(send_next(proposals, 10, seqs, &floor), 0);
    proposals_resend_silent(proposals, 11, 10);
    cr_assert_eq(send_next(proposals, 11, seqs, &floor), 1);
    proposals_resend_silent(proposals, 30, 10);
    cr_assert_eq(send_next(proposals, 30, seqs, &floor), 0);
    proposals_resend_silent(proposals, 31, 10);
    cr_assert_eq(send_next(proposals, 31, seqs, &floor), 1);
    proposals_free(proposals);
}

Test(proposals, an_ended_op_is_not_sent_again_and_no_longer_holds_the_floor)
{
    struct proposals *proposals = proposals_new(1, 1);
    struct counted counted[2];
    uint64_t seqs[PROPOSALS_ENTRY_COMMANDS_MAX], floor;
    add_put(proposals, &counted[0], 10);
    add_put(proposals, &counted[1], 10);
    cr_assert_eq(send_next(proposals, 1, seqs, &floor), 2);
    op_cancel(&counted[0].op);
    proposals_tick(proposals);
    proposals_resend_all(proposals);
    cr_assert_eq(send_next(proposals, 2, seqs, &floor), 1);
    cr_assert_eq(seqs[0], 2);
    cr_assert_eq(floor, 2);
    proposals_free(proposals);
}

/* --- reads --- */

Test(reads, one_round_serves_all_that_wait_and_later_ones_wait_for_the_next)
{
    struct reads reads;
    struct counted counted[3];
    uint8_t first[READS_CONTEXT_SIZE], second[READS_CONTEXT_SIZE];
    reads_init(&reads, 1, 1);
    for (size_t i = 0; i < 3; i++)
        counted_init(&counted[i], 1000);
    reads_add(&reads, &counted[0].op);
    reads_add(&reads, &counted[1].op);
    cr_assert(reads_next_round(&reads, first));
    reads_asked(&reads, 1);
    reads_add(&reads, &counted[2].op);
    cr_assert_not(reads_next_round(&reads, second));
    struct op_list ops = {0};
    cr_assert(reads_answered(&reads, first, sizeof(first), &ops));
    cr_assert_eq(ops.count, 2);
    op_list_release(&ops);
    cr_assert(reads_next_round(&reads, second));
    reads_asked(&reads, 1);
    cr_assert_not(reads_answered(&reads, first, sizeof(first), &ops),
                  "an answer to an older round must not serve a newer read");
    reads_release(&reads);
}

Test(reads, a_round_without_answer_is_asked_again_for_all)
{
    struct reads reads;
    struct counted counted[2];
    uint8_t context[READS_CONTEXT_SIZE];
    reads_init(&reads, 1, 1);
    counted_init(&counted[0], 1000);
    counted_init(&counted[1], 1000);
    reads_add(&reads, &counted[0].op);
    cr_assert(reads_next_round(&reads, context));
    reads_asked(&reads, 1);
    reads_add(&reads, &counted[1].op);
    reads_tick(&reads, 11, 10);
    cr_assert(reads_next_round(&reads, context));
    reads_asked(&reads, 11);
    struct op_list ops = {0};
    cr_assert(reads_answered(&reads, context, sizeof(context), &ops));
    cr_assert_eq(ops.count, 2);
    op_list_release(&ops);
    reads_release(&reads);
}

/* --- holdback --- */

static const struct region region_of_three = {
    .id = 1, .peer_count = 3, .peers = {{1, 1}, {2, 2}, {3, 3}}};

static bool keeps(struct holdback *holdback, uint64_t to, size_t entries, uint64_t commit)
{
    struct raft_message message;
    raft_message_init(&message, RAFT_MESSAGE_APPEND);
    message.to = to;
    message.commit = commit;
    struct raft_entry *entry = entry_at(commit + 1, 1, 1);
    if (entries > 0)
        cr_assert_eq(raft_message_set_entries(&message, &entry, 1), 0);
    bool kept = holdback_keep(holdback, &message);
    raft_message_release(&message);
    raft_entry_unref(entry);
    return kept;
}

Test(holdback, a_note_waits_until_an_append_says_it_too)
{
    struct holdback holdback;
    struct raft_message note;
    holdback_init(&holdback);
    holdback_set_members(&holdback, &region_of_three);
    cr_assert(keeps(&holdback, 2, 0, 10));
    cr_assert(keeps(&holdback, 3, 0, 10));
    cr_assert_not(keeps(&holdback, 2, 1, 10));
    cr_assert(holdback_is_pending(&holdback));
    cr_assert(holdback_next(&holdback, &note));
    cr_assert_eq(note.to, 3);
    raft_message_release(&note);
    cr_assert_not(holdback_next(&holdback, &note));
    cr_assert_not(holdback_is_pending(&holdback));
    holdback_release(&holdback);
}

Test(holdback, who_waits_for_its_own_proposal_is_told_at_once)
{
    struct holdback holdback;
    holdback_init(&holdback);
    holdback_set_members(&holdback, &region_of_three);
    holdback_proposal(&holdback, 2);
    holdback_append(&holdback, 20);
    cr_assert_not(keeps(&holdback, 2, 0, 19));
    cr_assert_not(keeps(&holdback, 2, 0, 20));
    cr_assert(keeps(&holdback, 2, 0, 21));
    cr_assert(keeps(&holdback, 3, 0, 20));
    holdback_release(&holdback);
}

Test(holdback, only_appends_are_kept)
{
    struct holdback holdback;
    struct raft_message message;
    holdback_init(&holdback);
    holdback_set_members(&holdback, &region_of_three);
    raft_message_init(&message, RAFT_MESSAGE_HEARTBEAT);
    message.to = 2;
    cr_assert_not(holdback_keep(&holdback, &message));
    holdback_release(&holdback);
}
