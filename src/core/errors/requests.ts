import { defineError } from './define.ts'

/** What a request can be answered with before it reaches an upload: its HTTP, its body, its limits. */
export const requestErrors = {
  // Shared by the protocols.
  checksumMismatch: defineError(
    'CHECKSUM_MISMATCH',
    'The bytes that arrived do not match their checksum. Please send them again.',
  ),
  patchTypeUnsupported: defineError(
    'UNSUPPORTED_CONTENT_TYPE',
    ({ expected }: { expected: string }) => `The content type of a PATCH must be ${expected}.`,
  ),
}
