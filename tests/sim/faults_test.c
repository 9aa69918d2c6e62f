// Each deliberate fault in raft/ is found within SEEDS_MAX seeds.

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define SEEDS_MAX 5000

struct named_fault {
    enum raft_fault fault;
    char name[32];
};

ParameterizedTestParameters(simulation, finds_the_fault)
{
    static struct named_fault faults[] = {
#define X(name) {RAFT_FAULT_##name, #name},
        RAFT_FAULTS(X)
#undef X
    };
    // Without the first one, which is no fault.
    return cr_make_param_array(struct named_fault, faults + 1,
                               sizeof(faults) / sizeof(faults[0]) - 1);
}

// An assert that trips is a find, too; so in a process of its own.
static bool is_found(enum raft_fault fault)
{
    pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        raft_fault = fault;
        for (uint64_t seed = 1; seed <= SEEDS_MAX; seed++) {
            struct world *w = world_new(seed, NULL);
            if (!world_run(w)) {
                _exit(1);
            }
            world_free(w);
        }
        _exit(0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

ParameterizedTest(struct named_fault *param, simulation, finds_the_fault)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip("too slow with a sanitizer");
#endif
    cr_assert(is_found(param->fault), "%s went unnoticed for %d seeds", param->name, SEEDS_MAX);
}
