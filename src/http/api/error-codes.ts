import type { ErrorCode } from '../../core/errors/error.ts'

/** What any request of a user can be answered with: by the limits before the routes, by authentication, and by a server in trouble. */
export const anyRequest = [
  'INVALID_REQUEST',
  'UNAUTHENTICATED',
  'ROLE_NOT_ALLOWED',
  'FORBIDDEN',
  'UNSUPPORTED_CONTENT_TYPE',
  'RATE_LIMITED',
  'INTERNAL_ERROR',
  'DATABASE_ERROR',
  'IDENTITY_UNAVAILABLE',
  'OVERLOADED',
  'SHUTTING_DOWN',
] as const satisfies ErrorCode[]

/** What a request about an upload can be answered with that is not there any more, or not for this user. */
export const anyUpload = [
  'UPLOAD_NOT_FOUND',
  'UPLOAD_GONE',
  'UPLOAD_EXPIRED',
  'UPLOAD_LOST',
] as const satisfies ErrorCode[]

/** What a creation can be answered with: by the policy of the role, its quotas, and what the client said about the file. */
export const creation = [
  'INVALID_METADATA',
  'INVALID_FIELD',
  'LENGTH_MISMATCH',
  'QUOTA_EXCEEDED',
  'FILE_TOO_LARGE',
  'TYPE_NOT_ALLOWED',
  'CATEGORY_NOT_ALLOWED',
  'STORE_UNAVAILABLE',
  'R2_ERROR',
] as const satisfies ErrorCode[]

/** What the bytes of a file can be answered with: by the upload, by what the bytes are, and by the store. */
export const bytes = [
  'LENGTH_MISMATCH',
  'FILE_TOO_LARGE',
  'TYPE_NOT_ALLOWED',
  'CATEGORY_NOT_ALLOWED',
  'QUOTA_EXCEEDED',
  'UPLOAD_LOCKED',
  'CHECKSUM_MISMATCH',
  'BODY_TIMEOUT',
  'STORE_UNAVAILABLE',
  'R2_ERROR',
] as const satisfies ErrorCode[]
