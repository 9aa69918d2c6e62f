#ifndef KEEL_TESTS_RAFT_SCRIPTS_D_FORMAT_H
#define KEEL_TESTS_RAFT_SCRIPTS_D_FORMAT_H

#include "raft/raft.h"
#include "text.h"

// The shapes in which the scripts show things.

void format_message(struct text *t, const char *indent, const struct raft_message *m);
// As format_message, leaving out the responses.
void format_work(struct text *t, const struct raft_message *m);
void format_entries(struct text *t, struct raft_entry *const *entries, size_t count);
void format_ready(struct text *t, const struct raft_ready *rd);
void format_conf(struct text *t, const struct raft_conf_state *conf);
void format_progress(struct text *t, const struct raft_peer_status *p);
void format_changes(struct text *t, const struct raft_conf_change *change);
const char *format_message_type(enum raft_message_type type);
const char *format_role(enum raft_role role);

// One log line, as the scripts word the core's events. "" for an event they do not have.
void format_event(struct text *t, const struct raft_event *e);

// Reads "v1 l2 r3 u4". false when it is something else.
bool parse_changes(const char *text, struct raft_conf_change *change);
// The type named "MsgApp" and so on; -1 when there is none.
int parse_message_type(const char *name);

#endif
