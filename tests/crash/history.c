#include "crash.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HISTORY_NAME "history"

/* What a record tells of. */
enum subject { ABOUT_CLIENT, ABOUT_GUEST };

struct record {
    uint8_t subject;
    uint8_t step;
    uint8_t kind;
    uint8_t number; /* of the client, or the slot */
    uint32_t key;
    uint64_t seq;
};

static void history_path(const char *dir, char *path, size_t size)
{
    snprintf(path, size, "%s/" HISTORY_NAME, dir);
}

int history_open(const char *dir)
{
    char path[CLUSTER_DIR_MAX + sizeof(HISTORY_NAME) + 1];
    history_path(dir, path, sizeof(path));
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        crash_give_up(path);
    return fd;
}

static void append_record(int fd, const struct record *record)
{
    ssize_t written = write(fd, record, sizeof(*record));
    if (written != (ssize_t)sizeof(*record))
        crash_give_up("the history cannot be written");
}

void history_note(void *ctx, unsigned client, enum client_step step, const struct ledger_op *op)
{
    const int *fd = ctx;
    append_record(*fd, &(struct record){.subject = ABOUT_CLIENT,
                                        .step = (uint8_t)step,
                                        .kind = (uint8_t)op->kind,
                                        .number = (uint8_t)client,
                                        .key = op->key,
                                        .seq = op->seq});
}

void history_note_guest(int fd, size_t slot, enum guest_step step)
{
    append_record(fd, &(struct record){
                          .subject = ABOUT_GUEST, .step = (uint8_t)step, .number = (uint8_t)slot});
}

static void read_client_record(struct history *history, const struct record *record)
{
    assert(record->number < CRASH_CLIENTS);
    struct ledger *ledger = &history->ledgers[record->number];
    struct ledger_op op = {
        .kind = (enum ledger_kind)record->kind, .key = record->key, .seq = record->seq};
    switch ((enum client_step)record->step) {
    case CLIENT_BEGINS:
        ledger_begin(ledger, &op);
        break;
    case CLIENT_ACKNOWLEDGED:
        ledger_acknowledge(ledger, &op);
        break;
    case CLIENT_REFUSED:
        ledger_refuse(ledger, &op);
        break;
    case CLIENT_LOG_IS_THERE:
        ledger_begin_log(ledger);
        break;
    }
}

static void read_guest_record(struct history *history, const struct record *record)
{
    assert(record->number >= CRASH_FOUNDERS && record->number < CLUSTER_STORES_MAX);
    size_t guest = record->number - CRASH_FOUNDERS;
    history->guests[guest] = (enum guest_step)record->step;
    if (history->guest_count <= guest)
        history->guest_count = guest + 1;
}

void history_read(const char *dir, struct history *ret_history)
{
    char path[CLUSTER_DIR_MAX + sizeof(HISTORY_NAME) + 1];
    struct record record;
    memset(ret_history, 0, sizeof(*ret_history));
    for (unsigned i = 0; i < CRASH_CLIENTS; i++)
        ledger_init(&ret_history->ledgers[i], i);
    history_path(dir, path, sizeof(path));
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        crash_give_up(path);
    while (fread(&record, sizeof(record), 1, file) == 1) {
        if (record.subject == ABOUT_CLIENT)
            read_client_record(ret_history, &record);
        else
            read_guest_record(ret_history, &record);
    }
    fclose(file);
}
