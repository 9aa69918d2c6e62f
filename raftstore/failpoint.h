/* Named places at which a test has the process die.
 *
 * FAILPOINT(name) is nothing in a normal build. In the library that the crash
 * tests link (KEELFS_FAILPOINTS) it ends the process at once, as kill -9 would,
 * when the environment says KEELFS_FAILPOINT=name (the first time) or
 * KEELFS_FAILPOINT=name:N (the Nth time). Every name is in the list below, so a
 * test can go through all of them and show that each was hit.
 */
#ifndef KEELFS_RAFTSTORE_FAILPOINT_H
#define KEELFS_RAFTSTORE_FAILPOINT_H

/* Before and after each step that makes something durable. */
#define FAILPOINTS(X)                                                                              \
    X(log_write_before)                                                                            \
    X(log_write_after)                                                                             \
    X(hard_state_write_before)                                                                     \
    X(hard_state_write_after)                                                                      \
    X(apply_write_before)                                                                          \
    X(apply_write_after)                                                                           \
    X(gc_compact_applied)                                                                          \
    X(gc_sync_before)                                                                              \
    X(gc_sync_after)                                                                               \
    X(gc_delete_after)                                                                             \
    X(snap_build_begin)                                                                            \
    X(snap_build_table)                                                                            \
    X(snap_build_end)                                                                              \
    X(snap_send_chunk)                                                                             \
    X(snap_send_end)                                                                               \
    X(snap_receive_begin)                                                                          \
    X(snap_receive_chunk)                                                                          \
    X(snap_receive_synced)                                                                         \
    X(snap_receive_end)                                                                            \
    X(snap_apply_marked)                                                                           \
    X(snap_apply_log)                                                                              \
    X(snap_apply_cleared)                                                                          \
    X(snap_apply_table)                                                                            \
    X(snap_apply_ingested)                                                                         \
    X(snap_apply_normal)                                                                           \
    X(member_apply_before)                                                                         \
    X(member_apply_after)                                                                          \
    X(bootstrap_raft_before)                                                                       \
    X(bootstrap_raft_after)                                                                        \
    X(bootstrap_kv_after)                                                                          \
    X(join_kv_before)                                                                              \
    X(join_kv_after)

#ifdef KEELFS_FAILPOINTS
enum failpoint {
#define X(name) FAILPOINT_##name,
    FAILPOINTS(X)
#undef X
};
#define FAILPOINT(name) failpoint_hit(FAILPOINT_##name)
void failpoint_hit(enum failpoint point);
const char *failpoint_name(enum failpoint point);
#else
#define FAILPOINT(name) ((void)0)
#endif

#endif
