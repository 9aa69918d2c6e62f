#ifndef KEEL_TESTS_FUZZ_RAFT_STEP_H
#define KEEL_TESTS_FUZZ_RAFT_STEP_H

#include <stddef.h>
#include <stdint.h>

// libFuzzer's name for it.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
