/* Each scenario for a moment; `scenarios --seconds N` runs them for longer. */
#include "random.h"
#include "scenario.h"

#include "raftstore/log.h"

#include <criterion/criterion.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SECONDS 1
#else
#define SECONDS 3
#endif

static void hold(const char *name)
{
    log_open(name, LOG_LEVEL_ERROR, 0);
    cr_assert(scenario_run(scenario_find(name), SECONDS, random_seed("KEELFS_SCENARIO_SEED")));
}

Test(scenarios, one_client_sees_what_it_wrote)
{
    hold("basic");
}

Test(scenarios, each_of_many_clients_sees_what_it_wrote)
{
    hold("concurrent");
}

Test(scenarios, a_network_that_loses_messages_loses_no_data)
{
    hold("unreliable");
}

Test(scenarios, a_majority_goes_on_and_a_minority_does_not)
{
    hold("one-partition");
}

Test(scenarios, one_client_gets_through_partitions)
{
    hold("partitions-one-client");
}

Test(scenarios, clients_get_through_partitions)
{
    hold("partitions");
}

Test(scenarios, one_client_gets_through_restarts)
{
    hold("restarts-one-client");
}

Test(scenarios, clients_get_through_restarts)
{
    hold("restarts");
}

Test(scenarios, clients_get_through_partitions_with_restarts)
{
    hold("partitions-restarts");
}

Test(scenarios, clients_get_through_losses_with_partitions_and_restarts)
{
    hold("unreliable-partitions-restarts");
}

Test(scenarios, a_store_that_was_away_gets_a_snapshot)
{
    hold("one-snapshot");
}

Test(scenarios, one_client_gets_through_restarts_with_a_short_log)
{
    hold("snapshot-one-client");
}

Test(scenarios, many_clients_get_through_restarts_with_a_short_log)
{
    hold("snapshot-many-clients");
}

Test(scenarios, clients_get_through_losses_with_a_short_log)
{
    hold("snapshot-unreliable");
}

Test(scenarios, clients_get_through_everything_with_a_short_log)
{
    hold("snapshot-unreliable-partitions-restarts");
}

Test(scenarios, no_read_is_stale)
{
    hold("leases");
}

Test(scenarios, no_read_is_stale_with_a_short_log)
{
    hold("leases-snapshot");
}

Test(scenarios, no_read_is_stale_among_five)
{
    hold("leases-of-five");
}

Test(scenarios, clients_get_through_changes_of_members)
{
    hold("members");
}

Test(scenarios, clients_get_through_changes_of_members_in_trouble)
{
    hold("members-in-trouble");
}
