/* The list of the scenarios. */
#include "scenario.h"

#include <string.h>

#define FEW  5
#define MANY SCENARIO_CLIENTS_MAX
/* Short enough to be cut all the time. */
#define SHORT_LOG 20

static const struct scenario scenarios[] = {
    {"basic", .stores = 5, .clients = 1},
    {"concurrent", .stores = 5, .clients = FEW},
    {"unreliable", .stores = 5, .clients = FEW, .loss_percent = 10},
    {"one-partition", .stores = 5, .script = script_one_partition},
    {"partitions-one-client", .stores = 5, .clients = 1, .partitions = true},
    {"partitions", .stores = 5, .clients = FEW, .partitions = true},
    {"restarts-one-client", .stores = 5, .clients = 1, .restarts = true},
    {"restarts", .stores = 5, .clients = FEW, .restarts = true},
    {"partitions-restarts", .stores = 5, .clients = FEW, .partitions = true, .restarts = true},
    {"unreliable-partitions-restarts", .stores = 5, .clients = FEW, .loss_percent = 10,
     .partitions = true, .restarts = true},
    {"one-snapshot", .stores = 3, .log_limit = 10, .script = script_one_snapshot},
    {"snapshot-one-client", .stores = 5, .clients = 1, .log_limit = SHORT_LOG, .restarts = true},
    {"snapshot-many-clients", .stores = 5, .clients = MANY, .log_limit = SHORT_LOG,
     .restarts = true},
    {"snapshot-unreliable", .stores = 5, .clients = FEW, .log_limit = SHORT_LOG,
     .loss_percent = 10},
    {"snapshot-unreliable-partitions-restarts", .stores = 5, .clients = FEW, .log_limit = SHORT_LOG,
     .loss_percent = 10, .partitions = true, .restarts = true},
    {"leases", .stores = 3, .script = script_leases},
    {"leases-snapshot", .stores = 3, .log_limit = SHORT_LOG, .script = script_leases},
    {"leases-of-five", .stores = 5, .script = script_leases},
    {"members", .stores = 3, .clients = FEW, .log_limit = SHORT_LOG, .script = script_members},
    {"members-in-trouble", .stores = 3, .clients = FEW, .log_limit = SHORT_LOG,
     .script = script_members_in_trouble},
};

const struct scenario *scenario_at(size_t i)
{
    return i < sizeof(scenarios) / sizeof(scenarios[0]) ? &scenarios[i] : NULL;
}

const struct scenario *scenario_find(const char *name)
{
    const struct scenario *scenario;
    for (size_t i = 0; (scenario = scenario_at(i)) != NULL; i++) {
        if (strcmp(scenario->name, name) == 0)
            return scenario;
    }
    return NULL;
}
