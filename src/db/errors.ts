import { isUploadError, UploadError } from '../core/errors/error.ts'

// Connection failures, shutdown and start-up, too many connections, deadlocks and serialization, resource limits, and a
// server that is read-only or full: all of them may pass.
const transientStates = /^(08|53|57P|58)|^(40001|40P01|25006|55P03|57014)$/
const outageStates = /^(08|57P)|^25006$/
const transientCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])
const transientMessages =
  /timeout|terminated|Connection ended|not queryable|Client was closed|connection error|read ECONN/i

// Postgres keeps every character but one, U+0000; it says so of a text and of what is inside of JSON.
const unstorableStates = new Set(['22021', '22P05'])

/** Whether the same statement may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  const code = codeOf(error)
  if (code !== undefined) return transientCodes.has(code) || transientStates.test(code)
  return error instanceof Error && transientMessages.test(error.message)
}

/**
 * Whether the error says that the database is away: no connection, or a server that starts, ends or became a standby. Outages are
 * told once, where they are noticed (outage.ts), so reporters leave these errors out.
 */
export function isOutage(error: unknown): boolean {
  const at = isUploadError(error, 'DATABASE_ERROR') ? error.cause : error
  const code = codeOf(at)
  if (code !== undefined) return transientCodes.has(code) || outageStates.test(code)
  return at instanceof Error && transientMessages.test(at.message)
}

/** What the driver said; of several addresses that were tried, of the first. */
export function reasonOf(error: unknown): string {
  const { cause } = error as Error
  if (isUploadError(error) && cause !== undefined) return reasonOf(cause)
  const first = error instanceof AggregateError ? error.errors[0] : error
  return first instanceof Error ? first.message : String(first)
}

/** SQLSTATE or system error code; drizzle wraps the driver's error. */
export function codeOf(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string') return code
    if (at instanceof AggregateError && at.errors[0]) return codeOf(at.errors[0])
  }
  return undefined
}

/**
 * DATABASE_ERROR for what may pass, INVALID_FIELD for a text that no database keeps; anything else is a mistake of ours and rises
 * as it is.
 */
export function toDatabaseError(error: unknown): unknown {
  if (unstorableStates.has(codeOf(error) ?? ''))
    return new UploadError('INVALID_FIELD', 'A text may not have the character U+0000 in it.', {}, { cause: error })
  if (!isTransient(error)) return error
  return new UploadError(
    'DATABASE_ERROR',
    'The database does not answer. Please try again in a moment.',
    { sqlState: codeOf(error) },
    { cause: error },
  )
}
