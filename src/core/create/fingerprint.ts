import { errors } from '../errors/errors.ts'

// An index entry of Postgres may have about 2,700 bytes. A fingerprint identifies a file and is far shorter.
const maxBytes = 1024

/**
 * Checks a fingerprint: the text by which a client recognizes a file, to find its upload again on another device. The server only compares
 * fingerprints.
 * @throws UploadError INVALID_METADATA
 */
export function checkFingerprint(text: string): void {
  if (!isFingerprint(text)) throw errors.fingerprintInvalid({ maxBytes })
}

/** Whether `text` may be a fingerprint. */
export function isFingerprint(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= maxBytes && text.isWellFormed() && !/\p{Cc}/u.test(text)
}
