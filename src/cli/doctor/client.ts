import pg from 'pg'

/** A connection, not opened yet, with short timeouts; an error while it is idle does not end the process. */
export function clientOf(server: pg.ClientConfig): pg.Client {
  const client = new pg.Client({
    ...server,
    connectionTimeoutMillis: 5000,
    query_timeout: 10_000,
    application_name: 'landfall-doctor',
  })
  client.on('error', () => {})
  return client
}
