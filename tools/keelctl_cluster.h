/* What keelctl learns of a cluster before it does something: the members, as the
 * node that is asked or the leader sees them. */
#ifndef KEELFS_TOOLS_KEELCTL_CLUSTER_H
#define KEELFS_TOOLS_KEELCTL_CLUSTER_H

#include "tools/keelctl.h"

#include "keelfspb.pb-c.h"

#include <stdbool.h>

/* `ret_why`: see struct keelctl_call. */
int keelctl_cluster_ask(const struct keelctl *ctl, char *ret_why,
                        Keelfspb__StatusResponse **ret_status);
/* What the leader says, who alone knows how the others do; without one, or when it
 * does not answer, what the node says that was asked first. */
int keelctl_cluster_ask_leader(const struct keelctl *ctl, char *ret_why,
                               Keelfspb__StatusResponse **ret_status);
void keelctl_cluster_free(Keelfspb__StatusResponse *status);

/* The status is the leader's own. */
bool keelctl_cluster_is_leaders(const Keelfspb__StatusResponse *status);
/* NULL: none is known. */
const Keelfspb__MemberStatus *keelctl_cluster_leader(const Keelfspb__StatusResponse *status);
const Keelfspb__MemberStatus *keelctl_cluster_find(const Keelfspb__StatusResponse *status,
                                                   const char *name);

bool keelctl_member_is_voter(const Keelfspb__MemberStatus *member);
/* "leader", "voter", "learner", ...: one word, the member's part. */
const char *keelctl_member_role(const Keelfspb__MemberStatus *member);
/* How it does, as far as the status can tell; KEELCTL_STATE_MAX bytes. */
#define KEELCTL_STATE_MAX 128
void keelctl_member_state(const Keelfspb__StatusResponse *status,
                          const Keelfspb__MemberStatus *member, char *ret_state);

#endif
