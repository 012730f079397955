import { defineError } from './define.ts'

/** What a request for the bytes of a file can be answered with. */
export const fileErrors = {
  fileNotComplete: defineError('FILE_INCOMPLETE', 'The file has not arrived completely yet.'),
  fileDeleted: defineError('UPLOAD_GONE', 'The file was deleted.'),
  fileHeld: defineError(
    'FILE_HELD',
    (_: { retryAfter: number }) => 'The file is still being checked. Please try again in a moment.',
  ),
  fileQuarantined: defineError('FILE_QUARANTINED', 'The file did not pass a check and cannot be read.'),
  rangeNotSatisfiable: defineError('RANGE_NOT_SATISFIABLE', 'The file has no such range of bytes.'),
  stepNotFound: defineError('NOT_FOUND', 'There is no such step of this file.'),
  stepNotRepeatable: defineError(
    'UPLOAD_CLOSED',
    'This step is running, or has ended with a result that another attempt would not change.',
  ),
  linkExpired: defineError('LINK_EXPIRED', 'This link has expired or was revoked.'),
  linkTooLong: defineError(
    'INVALID_FIELD',
    ({ maxSeconds }: { maxSeconds: number }) => `A link may live for at most ${maxSeconds} seconds.`,
  ),
  tooManyDownloads: defineError(
    'OVERLOADED',
    (_: { rule: 'DOWNLOADS_AT_ONCE' }) => 'Too many downloads are in progress. Please try again in a moment.',
  ),
}
