/**
 * Every code that can be answered, with its HTTP status. Codes are part of the API: clients compare them. The sentences and the facts
 * of each code are in the tables beside this file.
 */
export const errorCodes = {
  UNAUTHENTICATED: 401,
  ROLE_NOT_ALLOWED: 403,
  FORBIDDEN: 403,
  QUOTA_EXCEEDED: 403,
  FILE_QUARANTINED: 403,
  UPLOAD_NOT_FOUND: 404,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  OFFSET_MISMATCH: 409,
  UPLOAD_CLOSED: 409,
  FILE_INCOMPLETE: 409,
  UPLOAD_COMPLETED: 409,
  UPLOAD_GONE: 410,
  UPLOAD_EXPIRED: 410,
  UPLOAD_LOST: 410,
  LINK_EXPIRED: 410,
  PRECONDITION_FAILED: 412,
  FILE_TOO_LARGE: 413,
  TYPE_NOT_ALLOWED: 415,
  UNSUPPORTED_CONTENT_TYPE: 415,
  CATEGORY_NOT_ALLOWED: 422,
  RANGE_NOT_SATISFIABLE: 416,
  UPLOAD_LOCKED: 423,
  FILE_HELD: 423,
  // RFC 9110. Clients that retry uploads do not see it, because they send their headers at once.
  HEADERS_TIMEOUT: 408,
  HEADERS_TOO_LARGE: 431,
  RATE_LIMITED: 429,
  LENGTH_MISMATCH: 400,
  INVALID_METADATA: 400,
  INVALID_REQUEST: 400,
  MISSING_FIELD: 400,
  INVALID_FIELD: 400,
  CHECKSUM_MISMATCH: 460,
  INTERNAL_ERROR: 500,
  NOT_IMPLEMENTED: 501,
  R2_ERROR: 502,
  IDENTITY_UNAVAILABLE: 503,
  DATABASE_ERROR: 503,
  STORE_UNAVAILABLE: 503,
  SHUTTING_DOWN: 503,
  OVERLOADED: 503,
  // Not 408: tus-js-client gives up on 408 and tries again on 503.
  BODY_TIMEOUT: 503,
} as const

export type ErrorCode = keyof typeof errorCodes

/** Limits, sizes and offsets: they go to the log and not to the client. Protocols read `offset` and `size` from them. */
export type Facts = Record<string, string | number | boolean | null | undefined>

/**
 * An error on its way to the client. `message` is one sentence for the person who uploads and holds no key, path, token or SQL.
 * `facts` are for the log, and for protocols that must answer with the right offset. Made by `errors`, so that no sentence is written
 * where it is thrown.
 */
export class UploadError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly facts: Facts

  constructor(code: ErrorCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'UploadError'
    this.code = code
    this.status = errorCodes[code]
    this.facts = facts
  }
}

/** Whether `thrown` is an error of the table, and one of `codes` if any are given. */
export function isUploadError(thrown: unknown, ...codes: ErrorCode[]): thrown is UploadError {
  return thrown instanceof UploadError && (codes.length === 0 || codes.includes(thrown.code))
}

/** What keeps a server from doing its work, in a sentence that `/readyz` may tell to the world. */
export class NotReady extends Error {
  override name = 'NotReady'
}
