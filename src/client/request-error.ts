import type { ErrorCode } from '../core/errors/error.ts'

/** The server's error codes, and two of the client: no response, and a file that can no longer be read. */
export type FailureCode = ErrorCode | 'NO_ANSWER' | 'FILE_UNREADABLE'

/** Why a request failed. `code` is `null` when the response does not contain one: it came from a proxy, or has no body. */
export interface Failure {
  code: FailureCode | null
  /** `null` when no response came. */
  status: number | null
  /** The server's error message. */
  message: string | null
  method: string
  /** From the Retry-After header. */
  retryAfterMs: number | null
}

/** Thrown when a request fails. */
export class RequestError extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message ?? `request failed: ${failure.code ?? failure.status}`)
    this.name = 'RequestError'
    this.failure = failure
  }
}

/** The failure of a request without a response. */
export function noAnswer(method: string): Failure {
  return { code: 'NO_ANSWER', status: null, message: null, method, retryAfterMs: null }
}

/** Reads the failure from a response with a status ≥ 400: `{ "error": { "code", "message", "timestamp" } }`. */
export function readFailure(method: string, status: number, body: string, retryAfter: string | null): Failure {
  const { code, message } = readError(body)
  const seconds = Number.parseInt(retryAfter ?? '', 10)
  return {
    code: (code as ErrorCode | null) ?? codeOf(status),
    status,
    message,
    method,
    retryAfterMs: Number.isNaN(seconds) ? null : seconds * 1000,
  }
}

function readError(body: string): { code: string | null; message: string | null } {
  try {
    const { error } = JSON.parse(body)
    if (typeof error?.code === 'string') {
      return { code: error.code, message: typeof error.message === 'string' ? error.message : null }
    }
  } catch {
    // The body is not one of this server's.
  }
  return { code: null, message: null }
}

/** What a status means when the response has no body, as for HEAD. Other statuses may come from a proxy. */
function codeOf(status: number): ErrorCode | null {
  if (status === 401) return 'UNAUTHENTICATED'
  if (status === 404) return 'UPLOAD_NOT_FOUND'
  if (status === 410) return 'UPLOAD_GONE'
  if (status === 423) return 'UPLOAD_LOCKED'
  if (status === 429) return 'RATE_LIMITED'
  return null
}
