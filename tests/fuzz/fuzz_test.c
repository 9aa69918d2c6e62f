// The fuzz target on made-up inputs: what every build can run.

#include <criterion/criterion.h>

#include "raft/random.h"
#include "raft_step.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INPUTS 3000
#else
#define INPUTS 20000
#endif
#define INPUT_BYTES 4096

Test(fuzz, raft_survives_arbitrary_messages)
{
    static uint8_t input[INPUT_BYTES];
    uint64_t random = 1;
    for (int i = 0; i < INPUTS; i++) {
        size_t size = (size_t)raft_random_below(&random, INPUT_BYTES);
        for (size_t at = 0; at < size; at++) {
            input[at] = (uint8_t)raft_random_next(&random);
        }
        cr_assert_eq(LLVMFuzzerTestOneInput(input, size), 0);
    }
}
