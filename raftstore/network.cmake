# Everything that speaks gRPC, and the messages it carries.
set(NETWORK_SOURCES
  peer_stream.c
  rpc_base.c
  rpc_call.c
  rpc_client.c
  rpc_identity.c
  rpc_loop.c
  rpc_queue.c
  rpc_server.c
  rpc_status.c
  service_check.c
  service_members.c
  service_quota.c
  service_raw.c
  service_status.c
  snap_chunk.c
  snap_receive.c
  snap_runner.c
  snap_send.c
  snap_writer.c
  transport.c
  wire.c
)
set_source_files_properties(service_status.c PROPERTIES
  COMPILE_DEFINITIONS KEELFS_VERSION="${PROJECT_VERSION}")
