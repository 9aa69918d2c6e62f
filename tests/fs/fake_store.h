/* store.h without Raft: one thread that applies what is proposed here, with the
 * real executor on a real engine, so that the file system is tested against the
 * real state machine while a test decides when, whether and with what in between
 * things are applied.
 *
 * A program that links this file uses it in place of raftstore/store.c. Calls
 * below are for the test's thread.
 */
#ifndef KEELFS_TESTS_FS_FAKE_STORE_H
#define KEELFS_TESTS_FS_FAKE_STORE_H

#include "raftstore/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An empty volume in `dir`, which exists. */
struct store *fake_store_new(const char *dir);
/* As store_close(): ends what waits with KE_SHUTDOWN. */
void fake_store_free(struct store *store);

/* Whether reads are current without a read point, as they are unless told otherwise.
 * When it is taken back this waits until what was given to the kernel has run out. */
void fake_store_set_lease(struct store *store, bool has_lease);

/* Nothing is answered any more, as without a majority: operations queue up and
 * time out, and the lease is over. */
void fake_store_hold(struct store *store);
/* They go on, those that waited first. */
void fake_store_release(struct store *store);

/* Reads that come here wait, and what the kernel was given lasts. */
void fake_store_hold_reads(struct store *store);

/* Only proposals wait; reads are answered. */
void fake_store_hold_proposals(struct store *store);

/* Waits until `count` operations are held. */
void fake_store_await_held(struct store *store, size_t count);

/* Proposals from here on are refused with `code`; 0: none is. */
void fake_store_refuse(struct store *store, int code);

/* Whether the node knows a leader. */
void fake_store_set_leader(struct store *store, uint64_t leader_id);

/* Applies `cmd`, which is freed, at once: as if another node had proposed it. */
int fake_store_apply(struct store *store, struct command *cmd);

/* `cmd`, which is taken, is applied right behind the next proposal from the mount, in one
 * turn with it: both are visible and told before the proposal is answered. */
void fake_store_follow(struct store *store, struct command *cmd);

/* From here on nothing that is applied is told to the observer, as when the changes
 * come with a snapshot; and commands of the mount succeed without a word on what
 * they did. fake_store_end_snapshot() tells that everything may have changed. */
void fake_store_begin_snapshot(struct store *store);
void fake_store_end_snapshot(struct store *store);

/* What other nodes see of a file: its content, malloc'ed and with a zero behind
 * it, or NULL when there is none. */
char *fake_store_read(struct store *store, const char *path, size_t *ret_size);

/* Proposals that were applied, from the mount only. */
size_t fake_store_applied(struct store *store);

#endif
