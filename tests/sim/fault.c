#include "raft/fault.h"

// The one fault of this process; see main.c.
enum raft_fault raft_fault = RAFT_FAULT_NONE;
