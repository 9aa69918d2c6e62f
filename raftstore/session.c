#include "raftstore/session.h"

#include "keelfspb.pb-c.h"
#include "raftstore/keys.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A result byte is 1 + the negated code; 0 says "not applied". */
#define RESULT_NONE 0
static_assert(1 - KE_CODE_MIN <= UINT8_MAX, "a result fits in a byte");

struct session {
    uint64_t store_id;
    uint64_t incarnation;
    uint64_t floor;
    /* Of the sequence numbers from `floor` on, up to the last that is applied. */
    uint8_t *results;
    size_t result_count;
    size_t result_room;
    bool changed; /* since it was last saved */
};

struct session_table {
    uint64_t region_id;
    struct session *sessions; /* in no order: one a member, so few */
    size_t count;
    size_t room;
    /* Stores whose rows the next save deletes; each once. */
    uint64_t *forgotten;
    size_t forgotten_count;
};

static struct session *find(const struct session_table *table, uint64_t store_id)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->sessions[i].store_id == store_id) {
            return &table->sessions[i];
        }
    }
    return NULL;
}

/* NULL when the table is full. */
static struct session *add(struct session_table *table, uint64_t store_id)
{
    struct session *session;

    if (table->count == SESSION_COUNT_MAX) {
        return NULL;
    }
    if (table->count == table->room) {
        table->room = table->room == 0 ? 16 : table->room * 2;
        table->sessions = mem_realloc(table->sessions, table->room * sizeof table->sessions[0]);
    }
    session = &table->sessions[table->count++];
    *session = (struct session){.store_id = store_id};
    return session;
}

/* Room for `count` results; the new ones are RESULT_NONE. */
static void grow_results(struct session *session, size_t count)
{
    if (count > session->result_room) {
        size_t room = session->result_room == 0 ? 256 : session->result_room;

        while (room < count) {
            room *= 2;
        }
        session->results = mem_realloc(session->results, room);
        session->result_room = room;
    }
    if (count > session->result_count) {
        memset(session->results + session->result_count, RESULT_NONE,
               count - session->result_count);
        session->result_count = count;
    }
}

/* --- rows --- */

static int load_row(struct session_table *table, struct bytes row)
{
    Keelfspb__Session *stored = keelfspb__session__unpack(NULL, row.size, row.data);
    struct session *session;

    if (stored == NULL || stored->results.len > SESSION_WINDOW_MAX ||
        find(table, stored->store_id) != NULL) {
        keelfspb__session__free_unpacked(stored, NULL);
        return KE_CORRUPT;
    }
    session = add(table, stored->store_id);
    if (session != NULL) {
        session->incarnation = stored->incarnation;
        session->floor = stored->floor;
        grow_results(session, stored->results.len);
        if (stored->results.len > 0) {
            memcpy(session->results, stored->results.data, stored->results.len);
        }
    }
    keelfspb__session__free_unpacked(stored, NULL);
    return session != NULL ? 0 : KE_CORRUPT;
}

int session_table_load(struct engine *kv, uint64_t region_id, struct session_table **ret_table,
                       struct err *e)
{
    struct key from = key_session(region_id, 0);
    struct key last = key_session(region_id, UINT64_MAX); /* no store has this id */
    struct session_table *table = mem_zalloc(sizeof *table);
    struct engine_iterator *it = engine_iterator_new(kv, NULL, NULL, CF_META, key_bytes(&last));
    int code = 0;

    table->region_id = region_id;
    for (engine_iterator_seek(it, key_bytes(&from)); code == 0 && engine_iterator_valid(it);
         engine_iterator_next(it)) {
        code = load_row(table, engine_iterator_value(it));
    }
    if (code == 0) {
        code = engine_iterator_status(it);
    }
    engine_iterator_free(it);
    if (code != 0) {
        session_table_free(table);
        return err_set(e, code, "cannot read the sessions of region %llu: %s",
                       (unsigned long long)region_id, ke_text(code));
    }
    *ret_table = table;
    return 0;
}

void session_table_free(struct session_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        free(table->sessions[i].results);
    }
    free(table->sessions);
    free(table->forgotten);
    free(table);
}

static void save_row(const struct session *session, struct bytes key, struct engine *kv,
                     struct engine_batch *batch)
{
    Keelfspb__Session stored = KEELFSPB__SESSION__INIT;
    uint8_t *row;
    size_t size;

    stored.store_id = session->store_id;
    stored.incarnation = session->incarnation;
    stored.floor = session->floor;
    stored.results.data = session->results;
    stored.results.len = session->result_count;
    row = mem_alloc(keelfspb__session__get_packed_size(&stored));
    size = keelfspb__session__pack(&stored, row);
    engine_batch_put(batch, kv, CF_META, key, (struct bytes){.data = row, .size = size});
    free(row);
}

void session_table_save(struct session_table *table, struct engine *kv, struct engine_batch *batch)
{
    /* First: a store that was forgotten may have a session again. */
    for (size_t i = 0; i < table->forgotten_count; i++) {
        struct key key = key_session(table->region_id, table->forgotten[i]);

        engine_batch_delete(batch, kv, CF_META, key_bytes(&key));
    }
    table->forgotten_count = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct session *session = &table->sessions[i];

        if (session->changed) {
            struct key key = key_session(table->region_id, session->store_id);

            save_row(session, key_bytes(&key), kv, batch);
            session->changed = false;
        }
    }
}

/* --- commands --- */

static void restart(struct session *session, uint64_t incarnation, uint64_t floor)
{
    session->incarnation = incarnation;
    session->floor = floor;
    session->result_count = 0;
    session->changed = true;
}

static void raise_floor(struct session *session, uint64_t floor)
{
    uint64_t drop = floor - session->floor;
    size_t dropped = drop < session->result_count ? (size_t)drop : session->result_count;

    session->result_count -= dropped;
    if (session->result_count > 0) {
        memmove(session->results, session->results + dropped, session->result_count);
    }
    session->floor = floor;
    session->changed = true;
}

bool session_begin_batch(struct session_table *table, uint64_t store_id, uint64_t incarnation,
                         uint64_t floor)
{
    struct session *session = find(table, store_id);

    if (session == NULL) {
        session = add(table, store_id);
        if (session == NULL) {
            return false;
        }
        restart(session, incarnation, floor);
        return true;
    }
    if (incarnation > session->incarnation) {
        restart(session, incarnation, floor);
        return true;
    }
    if (incarnation < session->incarnation) {
        return false;
    }
    if (floor > session->floor) {
        raise_floor(session, floor);
    }
    return true;
}

bool session_admits(const struct session_table *table, uint64_t store_id, uint64_t seq)
{
    const struct session *session = find(table, store_id);

    if (session == NULL || seq < session->floor || seq - session->floor >= SESSION_WINDOW_MAX) {
        return false;
    }
    seq -= session->floor;
    return seq >= session->result_count || session->results[seq] == RESULT_NONE;
}

void session_record(struct session_table *table, uint64_t store_id, uint64_t seq, int code)
{
    struct session *session = find(table, store_id);
    size_t slot;

    assert(session_admits(table, store_id, seq));
    assert(code <= 0 && code >= KE_CODE_MIN);
    slot = (size_t)(seq - session->floor);
    grow_results(session, slot + 1);
    session->results[slot] = (uint8_t)(1 - code);
    session->changed = true;
}

bool session_result(const struct session_table *table, uint64_t store_id, uint64_t incarnation,
                    uint64_t seq, int *ret_code)
{
    const struct session *session = find(table, store_id);

    if (session == NULL || session->incarnation != incarnation || seq < session->floor ||
        seq - session->floor >= session->result_count) {
        return false;
    }
    seq -= session->floor;
    if (session->results[seq] == RESULT_NONE) {
        return false;
    }
    *ret_code = 1 - (int)session->results[seq];
    return true;
}

static void remember_forgotten(struct session_table *table, uint64_t store_id)
{
    for (size_t i = 0; i < table->forgotten_count; i++) {
        if (table->forgotten[i] == store_id) {
            return;
        }
    }
    table->forgotten =
        mem_realloc(table->forgotten, (table->forgotten_count + 1) * sizeof table->forgotten[0]);
    table->forgotten[table->forgotten_count++] = store_id;
}

void session_forget(struct session_table *table, uint64_t store_id)
{
    struct session *session = find(table, store_id);

    if (session == NULL) {
        return;
    }
    free(session->results);
    *session = table->sessions[--table->count];
    remember_forgotten(table, store_id);
}
