# The daemon's command line and its life as a process.
set(DAEMON_SOURCES
  main.c
  options.c
  preflight.c
  root_owner.c
  daemonize.c
  pid_file.c
  stop_signals.c)
set_source_files_properties(options.c PROPERTIES
  COMPILE_DEFINITIONS "KEELFS_VERSION=\"${PROJECT_VERSION}\"")
