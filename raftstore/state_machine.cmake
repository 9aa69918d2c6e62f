# The replicated state machine and what it stands on.
set(STATE_MACHINE_SOURCES
  command.c
  engine.c
  err.c
  keys.c
  log.c
  memory.c
  path.c
  session.c
)
