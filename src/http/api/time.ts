import { UploadError } from '../../core/errors/error.ts'

/**
 * A time that a query says (RFC 3339), in UTC: the database does not take every offset.
 * @throws UploadError INVALID_FIELD for one before the year 1, which the database does not have
 */
export function parseTime(said: string | undefined): string | undefined {
  if (said === undefined) return undefined
  const at = new Date(said)
  const year = at.getUTCFullYear()
  if (year < 1 || year > 9999) throw new UploadError('INVALID_FIELD', 'There is no such time.')
  return at.toISOString()
}
