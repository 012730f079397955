import { errors } from '../../core/errors/errors.ts'

/**
 * A time of a query parameter (RFC 3339), converted to UTC because the database does not accept every offset.
 * @throws UploadError INVALID_FIELD for a year that the database does not have
 */
export function parseTime(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const at = new Date(text)
  const year = at.getUTCFullYear()
  if (year < 1 || year > 9999) throw errors.timeInvalid()
  return at.toISOString()
}
