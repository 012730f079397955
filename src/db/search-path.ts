import type pg from 'pg'

/** `server` with `schema` as the search path of every connection; that of the server is left alone for `public`. */
export function withSearchPath(server: pg.ClientConfig, schema: string): pg.ClientConfig {
  if (schema === 'public') return server
  const path = `-c search_path=${schema}`
  const join = (options: string | null | undefined) => [options, path].filter(Boolean).join(' ')
  if (server.connectionString === undefined) return { ...server, options: join(server.options) }
  // Options in a URL take precedence over those beside it.
  const url = new URL(server.connectionString)
  url.searchParams.set('options', join(url.searchParams.get('options')))
  return { ...server, connectionString: url.href }
}

/** The schema of the list of migrations that were applied to `schema`. */
export function migrationsSchemaOf(schema: string): string {
  return schema === 'public' ? 'drizzle' : schema
}
