# The replicated state machine and what it stands on.
set(STATE_MACHINE_SOURCES
  engine.c
  err.c
  keys.c
  log.c
  memory.c
  path.c
)
