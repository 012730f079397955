import { isUploadError } from '../core/errors/error.ts'
import { errors } from '../core/errors/errors.ts'

// SQLSTATEs of conditions that may pass: connection failures, shutdown and start-up, too many connections, deadlocks and serialization
// failures, resource limits, a read-only or full server.
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

// Postgres stores every character except U+0000: 22021 for it in a text, 22P05 in JSON.
const unstorableStates = new Set(['22021', '22P05'])

/** Whether the same statement may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  const code = codeOf(error)
  if (code !== undefined) return transientCodes.has(code) || transientStates.test(code)
  return error instanceof Error && transientMessages.test(error.message)
}

/**
 * Whether the error means that the database is away: there is no connection, or the server is starting, ending or has become a
 * standby. `watchOutage` reports each outage once, so error reporters skip these errors.
 */
export function isOutage(error: unknown): boolean {
  const at = isUploadError(error, 'DATABASE_ERROR') ? error.cause : error
  const code = codeOf(at)
  if (code !== undefined) return transientCodes.has(code) || outageStates.test(code)
  return at instanceof Error && transientMessages.test(at.message)
}

/** The driver's message; when several addresses were tried, that of the first. */
export function reasonOf(error: unknown): string {
  const { cause } = error as Error
  if (isUploadError(error) && cause !== undefined) return reasonOf(cause)
  const first = error instanceof AggregateError ? error.errors[0] : error
  return first instanceof Error ? first.message : String(first)
}

/** The SQLSTATE or system error code of `error` or of a cause: drizzle wraps the driver's error. */
export function codeOf(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string') return code
    if (at instanceof AggregateError && at.errors[0]) return codeOf(at.errors[0])
  }
  return undefined
}

/**
 * Turns an error that may pass into DATABASE_ERROR, and that of a text Postgres cannot store into INVALID_FIELD. Any other error is a
 * bug of ours and is returned unchanged.
 */
export function toDatabaseError(error: unknown): unknown {
  const code = codeOf(error)
  if (unstorableStates.has(code ?? '')) return errors.textNotStorable({}, error)
  if (!isTransient(error)) return error
  return errors.databaseUnavailable({ sqlState: code }, error)
}
