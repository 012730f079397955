import type { ErrorCode } from '../core/errors/error.ts'

/** What can go wrong beside the server's refusals: no answer, and a file that cannot be read any more. */
export type FailureCode = ErrorCode | 'NO_ANSWER' | 'FILE_UNREADABLE'

/** Why something did not work. `code` is `null` when whoever answered was not Landfall: a proxy, or a HEAD without a body. */
export interface Failure {
  code: FailureCode | null
  /** `null` when no answer came. */
  status: number | null
  /** The server's own sentence. */
  message: string | null
  method: string
  /** When the server asks to come back. */
  retryAfterMs: number | null
}

/** A failure as something to throw. */
export class RequestError extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message ?? `no success: ${failure.code ?? failure.status}`)
    this.name = 'Refusal'
    this.failure = failure
  }
}

/** The failure of a request that got no answer. */
export function noAnswer(method: string): Failure {
  return { code: 'NO_ANSWER', status: null, message: null, method, retryAfterMs: null }
}

/** The failure that an answer with a status ≥ 400 tells of: `{ "error": { "code", "message", "timestamp" } }`. */
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
    // Not our server's words.
  }
  return { code: null, message: null }
}

/** What a status means when the answer has no body, as to HEAD. Others could come from anybody in between. */
function codeOf(status: number): ErrorCode | null {
  if (status === 401) return 'UNAUTHENTICATED'
  if (status === 404) return 'UPLOAD_NOT_FOUND'
  if (status === 410) return 'UPLOAD_GONE'
  if (status === 423) return 'UPLOAD_LOCKED'
  if (status === 429) return 'RATE_LIMITED'
  return null
}
