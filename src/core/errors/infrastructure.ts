import { defineError } from './define.ts'
import type { Facts } from './error.ts'

/** What a request is answered with when the database, a lock or the store cannot do its part. */
export const infrastructureErrors = {
  // The database.
  databaseUnavailable: defineError(
    'DATABASE_ERROR',
    (_: { sqlState?: string | undefined }) => 'The database does not answer. Please try again in a moment.',
  ),
  textNotStorable: defineError('INVALID_FIELD', 'A text must not contain the character U+0000.'),
  tooManyCreationsAtOnce: defineError(
    'RATE_LIMITED',
    (_: { rule: 'uploadsAtOnce' }) => 'You are creating many uploads at once. Please try again in a moment.',
  ),
  alreadyConcatenating: defineError(
    'UPLOAD_LOCKED',
    'Another request is already joining these partial uploads. Please try again in a moment.',
  ),

  // The store. `code` is that of the operating system; the others are what an S3 server answered.
  storeUnavailable: defineError(
    'STORE_UNAVAILABLE',
    (_: { code?: string | undefined; operation?: string; storeStatus?: number; storeCode?: string }) =>
      'The store cannot be used at the moment. Please try again later.',
  ),
  diskFull: defineError('STORE_UNAVAILABLE', 'The disk is full.'),
  /** The message is for the operator, in `/readyz` and `landfall doctor`. */
  bucketUnavailable: defineError('STORE_UNAVAILABLE', ({ reason }: Facts & { reason: string }) => `${reason}.`),
  bucketUnusable: defineError('R2_ERROR', ({ reason }: Facts & { reason: string }) => `${reason}.`),

  // The pairing of the store with the database. `reason` is for the operator; a client sees it only before the server has started.
  storeNotPaired: defineError(
    'STORE_UNAVAILABLE',
    (_: { reason: string }) => 'The files of this server cannot be reached at the moment. Please try again later.',
  ),
  storeHasNoMarker: defineError('STORE_UNAVAILABLE', ({ reason }: { reason: string }) => reason),
}
