/* Raft messages and entries as eraftpb and raft_serverpb bytes, and back. */
#ifndef KEELFS_RAFTSTORE_WIRE_H
#define KEELFS_RAFTSTORE_WIRE_H

#include "raft/raft.h"
#include "raftstore/err.h"
#include "raftstore/lease.h"

#include <stddef.h>
#include <stdint.h>

/* The largest message on a stream: one command of the largest size and its
 * envelope. gRPC's receive limit. */
#define WIRE_MESSAGE_MAX (16u << 20)

/* What members tell each other of read leases with their messages; zeroed it is nothing.
 * docs/decisions/0009-read-leases.md. */
struct wire_lease {
    uint64_t stamp; /* of the leader: its clock */
    uint64_t echo;  /* to the leader: its newest stamp */
    struct lease_want want;
    struct lease_grant grant;
};

/* What raft_serverpb.RaftMessage adds to a message. */
struct wire_envelope {
    uint64_t region_id;
    uint64_t from_peer;
    uint64_t from_store;
    uint64_t to_peer;
    uint64_t to_store;
    uint64_t conf_ver; /* region epoch */
    uint64_t version;
    uint32_t flags; /* WIRE_FLAG_* */
    struct wire_lease lease;
};

/* The numbers are those of raft_serverpb.PeerFlag. */
#define WIRE_FLAG_ADMITTED 1u
#define WIRE_FLAG_DISK_LOW 2u
#define WIRE_FLAG_NO_SPACE 4u

/* Packs a RaftMessage; `*ret_bytes` is malloc'ed. */
void wire_pack_message(const struct wire_envelope *envelope, const struct raft_message *message,
                       uint8_t **ret_bytes, size_t *ret_size);

/* Unpacks a RaftMessage; entries are new, with one reference each. KE_INVALID for
 * what does not parse or is no message between peers (a local type, an entry
 * type or message type that is unknown). */
int wire_unpack_message(const uint8_t *bytes, size_t size, struct wire_envelope *ret_envelope,
                        struct raft_message *ret_message, struct err *e);

/* A log row. */
size_t wire_entry_size(const struct raft_entry *entry);
/* Writes exactly wire_entry_size() bytes. */
void wire_pack_entry(const struct raft_entry *entry, uint8_t *out);
int wire_unpack_entry(const uint8_t *bytes, size_t size, struct raft_entry **ret_entry);

#endif
