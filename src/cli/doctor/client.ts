import pg from 'pg'

/** A connection that gives up within seconds, not opened yet; one that breaks later ends nothing. */
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
