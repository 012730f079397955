/** The settings of the embedded server: durable, small, and reachable only by the socket in its folder. */
export const embeddedSettings = {
  listen_addresses: '',
  // The folder of the cluster, in which the server runs.
  unix_socket_directories: '.',
  unix_socket_permissions: '0700',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: 100,
  shared_buffers: '32MB',
  max_wal_size: '256MB',
  min_wal_size: '32MB',
  // The load of one computer is small: workers for parallel queries and replication would only take memory.
  jit: 'off',
  io_method: 'sync',
  max_parallel_workers: 0,
  max_worker_processes: 1,
  max_logical_replication_workers: 0,
  wal_level: 'minimal',
  max_wal_senders: 0,
  autovacuum_max_workers: 1,
  // Landfall starts the server again. A server that restarted itself would have lost the watch, which stops it when it is idle.
  restart_after_crash: 'off',
  log_checkpoints: 'off',
  // The text of statements may contain data of users.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
}
