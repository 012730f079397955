import { ConfigError } from '../config.ts'
import { reasonOf } from '../db/errors.ts'

/** One line for an error that an operator can fix, the stack trace for any other. */
export function explain(thrown: unknown): string {
  return `landfall: ${reasonFor(thrown)}`
}

/** As `explain`, without the name of the program. */
export function reasonFor(thrown: unknown): string {
  if (thrown instanceof ConfigError) return thrown.message
  const { code, message, stack, port } = thrown as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE') return `port ${port} is in use; set PORT or METRICS_PORT to another one`
  if (code === 'DATABASE_ERROR') return `the database cannot be reached (${reasonOf(thrown)})`
  return code === undefined ? (stack ?? String(thrown)) : message
}
