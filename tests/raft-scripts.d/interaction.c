#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cluster.h"
#include "raft/node.h"
#include "runner.h"

// The commands of interaction scripts.

struct call {
    struct cluster *c;
    const struct script_step *step;
    // The arguments without values, as node numbers counted from 0.
    size_t nodes[SCRIPT_ARGS_MAX];
    size_t node_count;
};

// What a command cannot say with a raft error; printed as it is.
static int complain(struct call *call, const char *text)
{
    text_add(call->c->out, "%s", text);
    return 0;
}

static bool is_true(const char *text)
{
    return strcmp(text, "true") == 0;
}

static struct raft_node *node_of(struct call *call, size_t at)
{
    return call->c->members[call->nodes[at]].node;
}

// --- add-nodes ---

static struct raft_config default_config(void)
{
    return (struct raft_config){
        .election_ticks = 3,
        .heartbeat_ticks = 1,
        .max_message_bytes = RAFT_NO_LIMIT,
        .max_inflight_messages = RAFT_INFLIGHT_MAX,
    };
}

static bool set_switch(struct raft_config *config, const char *key, const char *value)
{
    const struct {
        const char *key;
        bool *flag;
    } switches[] = {
        {"async-storage-writes", &config->async_storage_writes},
        {"prevote", &config->pre_vote},
        {"checkquorum", &config->check_quorum},
        {"disable-conf-change-validation", &config->disable_conf_change_validation},
        {"step-down-on-removal", &config->step_down_on_removal},
    };
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (strcmp(switches[i].key, key) == 0) {
            *switches[i].flag = is_true(value);
            return true;
        }
    }
    return false;
}

static void set_option(struct raft_config *config, struct raft_snapshot *snapshot, const char *key,
                       const char *value)
{
    uint64_t number = script_number(value, 0);
    if (set_switch(config, key, value)) {
        return;
    }
    if (strcmp(key, "voters") == 0) {
        raft_id_set_add(&snapshot->conf.voters, number);
    } else if (strcmp(key, "learners") == 0) {
        raft_id_set_add(&snapshot->conf.learners, number);
    } else if (strcmp(key, "inflight") == 0) {
        config->max_inflight_messages = (uint32_t)number;
    } else if (strcmp(key, "index") == 0) {
        snapshot->index = number;
        snapshot->term = 1;
        config->applied = number;
    } else if (strcmp(key, "max-committed-size-per-ready") == 0) {
        config->max_applying_bytes = number;
    } else if (strcmp(key, "read-only") == 0) {
        config->read_mode = strcmp(value, "lease-based") == 0 ? RAFT_READ_LEASE : RAFT_READ_SAFE;
    }
}

static size_t content_length(const struct script_step *step)
{
    const struct script_arg *content = script_arg(step, "content");
    return content != NULL && content->value_count > 0 ? strlen(content->values[0]) : 0;
}

static int add_nodes(struct call *call)
{
    const struct script_step *step = call->step;
    size_t size = content_length(step);
    struct raft_snapshot *snapshot = raft_snapshot_alloc(size);
    if (snapshot == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    if (size > 0) {
        memcpy(snapshot->data, script_arg(step, "content")->values[0], size);
    }
    struct raft_config config = default_config();
    for (size_t i = 1; i < step->arg_count; i++) {
        for (size_t j = 0; j < step->args[i].value_count; j++) {
            set_option(&config, snapshot, step->args[i].key, step->args[i].values[j]);
        }
    }
    bool bootstrap = snapshot->index > 0 || size > 0 || snapshot->conf.voters.count > 0 ||
                     snapshot->conf.learners.count > 0;
    int rc = 0;
    if (bootstrap && snapshot->index <= 1) {
        rc = complain(call, "index must be specified as > 1 due to bootstrap");
    } else {
        for (size_t i = 0; rc == 0 && i <= call->nodes[0]; i++) {
            rc = cluster_add(call->c, &config, snapshot);
            if (rc == RAFT_E_NO_MEMORY) {
                rc = cluster_add(call->c, &config, snapshot);
            }
        }
    }
    raft_snapshot_unref(snapshot);
    return rc;
}

// --- one node does something ---

static int campaign(struct call *call)
{
    return raft_node_campaign(node_of(call, 0));
}

static int tick(struct call *call, int ticks)
{
    int first = 0;
    for (int i = 0; i < ticks; i++) {
        int rc = raft_node_tick(node_of(call, 0));
        first = first != 0 ? first : rc;
    }
    return first;
}

static int tick_election(struct call *call)
{
    return tick(call, call->c->members[call->nodes[0]].config.election_ticks);
}

static int tick_heartbeat(struct call *call)
{
    return tick(call, call->c->members[call->nodes[0]].config.heartbeat_ticks);
}

static int propose(struct call *call)
{
    if (call->step->arg_count != 2) {
        return complain(call, "expected a node and a payload");
    }
    const char *payload = call->step->args[1].key;
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, payload, strlen(payload));
    if (entry == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    int rc = raft_node_propose(node_of(call, 0), &entry, 1);
    raft_entry_unref(entry);
    return rc;
}

static int propose_conf_change(struct call *call)
{
    struct raft_conf_change change;
    memset(&change, 0, sizeof(change));
    const struct script_arg *v1 = script_arg(call->step, "v1");
    const struct script_arg *transition = script_arg(call->step, "transition");
    change.v1 = v1 != NULL && is_true(v1->values[0]);
    if (transition != NULL && strcmp(transition->values[0], "implicit") == 0) {
        change.transition = RAFT_CONF_JOINT_IMPLICIT;
    } else if (transition != NULL && strcmp(transition->values[0], "explicit") == 0) {
        change.transition = RAFT_CONF_JOINT_EXPLICIT;
    } else if (transition != NULL && strcmp(transition->values[0], "auto") != 0) {
        return complain(call, "unknown transition");
    }
    if (!parse_changes(text_get(&call->step->input), &change)) {
        return complain(call, "unknown input");
    }
    if (change.v1 && (change.change_count > 1 || change.transition != RAFT_CONF_AUTO)) {
        return complain(call, "v1 conf change can only have one operation and no transition");
    }
    return raft_node_propose_conf_change(node_of(call, 0), &change);
}

static int forget_leader(struct call *call)
{
    return raft_node_forget_leader(node_of(call, 0));
}

static int transfer_leadership(struct call *call)
{
    const struct script_arg *from = script_arg(call->step, "from");
    const struct script_arg *to = script_arg(call->step, "to");
    uint64_t from_id = from != NULL ? script_number(from->values[0], 0) : 0;
    uint64_t to_id = to != NULL ? script_number(to->values[0], 0) : 0;
    if (from_id == 0 || from_id > call->c->count || to_id == 0) {
        return complain(call, "expected from=<node> and to=<node>");
    }
    return raft_node_transfer_leader(call->c->members[from_id - 1].node, to_id);
}

static int report_unreachable(struct call *call)
{
    if (call->node_count != 2) {
        return complain(call, "must specify exactly two node indexes: node on which to report, "
                              "and reported node");
    }
    return raft_node_report_unreachable(node_of(call, 0), call->nodes[1] + 1);
}

static int send_snapshot(struct call *call)
{
    const struct member *from = &call->c->members[call->nodes[0]];
    struct raft_status status;
    int rc = raft_node_status(from->node, &status);
    if (rc != 0) {
        return rc;
    }
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_SNAPSHOT);
    m.term = status.hard_state.term;
    m.from = status.id;
    m.to = call->nodes[1] + 1;
    m.snapshot = raft_snapshot_ref(from->applied);
    struct text t = {.at = NULL};
    format_message(&t, "", &m);
    cluster_say(call->c, "%s", text_get(&t));
    text_free(&t);
    queue_push(&call->c->wire, &m);
    return 0;
}

static int set_randomized_election_timeout(struct call *call)
{
    const struct script_arg *timeout = script_arg(call->step, "timeout");
    if (timeout == NULL) {
        return complain(call, "expected timeout=<ticks>");
    }
    node_of(call, 0)->raft.randomized_timeout = (int)script_number(timeout->values[0], 1);
    return 0;
}

static int compact(struct call *call)
{
    uint64_t index = script_number(call->step->args[1].key, 0);
    int rc = raft_memory_storage_compact(call->c->members[call->nodes[0]].storage, index);
    return rc != 0 ? rc : cluster_raft_log(call->c, call->nodes[0]);
}

static int raft_log(struct call *call)
{
    return cluster_raft_log(call->c, call->nodes[0]);
}

// --- several nodes take their turn ---

static void drop_missing_nodes(struct call *call)
{
    size_t kept = 0;
    for (size_t i = 0; i < call->node_count; i++) {
        if (call->nodes[i] < call->c->count) {
            call->nodes[kept++] = call->nodes[i];
        }
    }
    call->node_count = kept;
}

static int each(struct call *call, const char *title, int (*work)(struct cluster *c, size_t at))
{
    drop_missing_nodes(call);
    if (call->node_count == 1) {
        return work(call->c, call->nodes[0]);
    }
    for (size_t i = 0; i < call->node_count; i++) {
        cluster_say(call->c, "> %zu %s\n", call->nodes[i] + 1, title);
        cluster_indent(call->c, work, call->nodes[i]);
    }
    return 0;
}

static int process_ready(struct call *call)
{
    return each(call, "handling Ready", cluster_ready);
}

static int process_append_thread(struct call *call)
{
    return each(call, "processing append thread", cluster_append_work);
}

static int process_apply_thread(struct call *call)
{
    return each(call, "processing apply thread", cluster_apply_work);
}

static int parse_level(const char *name)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "fatal", "none"};
    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
        if (strcasecmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static int log_level(struct call *call)
{
    int level = call->step->arg_count > 0 ? parse_level(call->step->args[0].key) : -1;
    if (level < 0) {
        return complain(call, "log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]");
    }
    call->c->level = level;
    return 0;
}

static int stabilize(struct call *call)
{
    int before = call->c->level;
    const struct script_arg *level = script_arg(call->step, "log-level");
    if (level != NULL) {
        call->c->level = parse_level(level->values[0]);
    }
    bool all = call->node_count == 0;
    drop_missing_nodes(call);
    if (all) {
        for (size_t i = 0; i < call->c->count; i++) {
            call->nodes[call->node_count++] = i;
        }
    }
    int rc = cluster_stabilize(call->c, call->nodes, call->node_count);
    call->c->level = before;
    return rc;
}

static int deliver_msgs(struct call *call)
{
    int type = -1;
    size_t delivered = 0;
    const struct script_arg *wanted = script_arg(call->step, "type");
    if (wanted != NULL) {
        type = parse_message_type(wanted->values[0]);
    }
    for (size_t i = 0; i < call->step->arg_count; i++) {
        const struct script_arg *arg = &call->step->args[i];
        if (arg->value_count == 0) {
            delivered += cluster_deliver(call->c, script_number(arg->key, 0), type, false);
        } else if (strcmp(arg->key, "drop") == 0) {
            for (size_t j = 0; j < arg->value_count; j++) {
                uint64_t to = script_number(arg->values[j], 0);
                delivered += cluster_deliver(call->c, to, type, true);
            }
        }
    }
    if (delivered == 0) {
        cluster_say(call->c, "no messages\n");
    }
    return 0;
}

// --- looking ---

static int status(struct call *call)
{
    struct raft_status s;
    int rc = raft_node_status(node_of(call, 0), &s);
    for (uint32_t i = 0; rc == 0 && i < s.peer_count; i++) {
        struct text t = {.at = NULL};
        format_progress(&t, &s.peers[i]);
        cluster_say(call->c, "%" PRIu64 ": %s\n", s.peers[i].id, text_get(&t));
        text_free(&t);
    }
    return rc;
}

static int raft_state(struct call *call)
{
    for (size_t i = 0; i < call->c->count; i++) {
        struct raft_status s;
        int rc = raft_node_status(call->c->members[i].node, &s);
        if (rc != 0) {
            return rc;
        }
        bool voter =
            raft_id_set_has(&s.conf.voters, s.id) || raft_id_set_has(&s.conf.voters_outgoing, s.id);
        cluster_say(call->c, "%" PRIu64 ": %s (%s) Term:%" PRIu64 " Lead:%" PRIu64 "\n", s.id,
                    format_role(s.role), voter ? "Voter" : "Non-Voter", s.hard_state.term,
                    s.leader);
    }
    return 0;
}

static int breakpoint(struct call *call)
{
    (void)call;
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct call *call);
    size_t nodes;  // arguments that name an existing node, at least
    size_t others; // further arguments, at least
} commands[] = {
    {"_breakpoint", breakpoint, 0, 0},
    {"add-nodes", add_nodes, 0, 1},
    {"campaign", campaign, 1, 0},
    {"compact", compact, 1, 1},
    {"deliver-msgs", deliver_msgs, 0, 0},
    {"forget-leader", forget_leader, 1, 0},
    {"log-level", log_level, 0, 0},
    {"process-append-thread", process_append_thread, 1, 0},
    {"process-apply-thread", process_apply_thread, 1, 0},
    {"process-ready", process_ready, 1, 0},
    {"propose", propose, 1, 1},
    {"propose-conf-change", propose_conf_change, 1, 0},
    {"raft-log", raft_log, 1, 0},
    {"raft-state", raft_state, 0, 0},
    {"report-unreachable", report_unreachable, 1, 0},
    {"send-snapshot", send_snapshot, 1, 1},
    {"set-randomized-election-timeout", set_randomized_election_timeout, 1, 0},
    {"stabilize", stabilize, 0, 0},
    {"status", status, 1, 0},
    {"tick-election", tick_election, 1, 0},
    {"tick-heartbeat", tick_heartbeat, 1, 0},
    {"transfer-leadership", transfer_leadership, 0, 0},
};

static void collect_nodes(struct call *call)
{
    for (size_t i = 0; i < call->step->arg_count; i++) {
        uint64_t id = script_number(call->step->args[i].key, 0);
        if (call->step->args[i].value_count == 0 && id > 0) {
            call->nodes[call->node_count++] = (size_t)id - 1;
        }
    }
}

static bool has_arguments(const struct call *call, size_t nodes, size_t others)
{
    if (call->step->arg_count < nodes + others || call->node_count < nodes) {
        return false;
    }
    for (size_t i = 0; i < nodes; i++) {
        if (call->nodes[i] >= call->c->count) {
            return false;
        }
    }
    return true;
}

bool cluster_handle(struct cluster *c, const struct script_step *step, struct text *answer)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, step->command) != 0) {
            continue;
        }
        struct call call = {.c = c, .step = step};
        collect_nodes(&call);
        c->out = answer;
        if (!has_arguments(&call, commands[i].nodes, commands[i].others)) {
            text_add(answer, "missing or wrong arguments");
            return true;
        }
        int rc = commands[i].run(&call);
        if (rc != 0) {
            text_add(answer, "%s", cluster_error_text(rc));
        }
        if (answer->length == 0) {
            text_add(answer, "ok");
        }
        return true;
    }
    return false;
}
