import { errors } from '../errors/errors.ts'

// An index of Postgres takes some 2,700 bytes, and a client that sends the file itself has misunderstood something.
const maxBytes = 1024

/**
 * What a client tells one file from another by, so that it finds the upload again on another device. The server only compares.
 * @throws UploadError INVALID_METADATA
 */
export function checkFingerprint(text: string): void {
  if (!isFingerprint(text)) throw errors.fingerprintInvalid({ maxBytes })
}

/** Whether `text` can be one. */
export function isFingerprint(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= maxBytes && text.isWellFormed() && !/\p{Cc}/u.test(text)
}
