import { STATUS_CODES } from 'node:http'
import type { Problem as ProblemBody } from '../../contract/problem.ts'
import type { Limits } from '../../core/engine.ts'
import type { ErrorCode, UploadError } from '../../core/errors/error.ts'
import { errorBody, errorHeaders } from '../../http/errors.ts'
import { serializeInteger } from '../../http/structured-fields.ts'
import { completeness, limitHeader } from './fields.ts'
import type { Dialect } from './versions.ts'

/** An error as problem details (RFC 9457), with the member `error` that errors have in every protocol of this server. */
export interface Problem {
  status: number
  headers: Record<string, string>
  body: ProblemBody
}

const registry = 'https://iana.org/assignments/http-problem-types#'
// draft-ietf-httpbis-resumable-upload, "Problem Types"; draft-ietf-httpapi-digest-fields-problem-types
const types: Partial<Record<ErrorCode, { name: string; title: string; status?: number }>> = {
  OFFSET_MISMATCH: { name: 'mismatching-upload-offset', title: 'Mismatching Upload Offset' },
  LENGTH_MISMATCH: { name: 'inconsistent-upload-length', title: 'Inconsistent Upload Length Values' },
  UPLOAD_COMPLETED: { name: 'completed-upload', title: 'Upload Is Completed', status: 400 },
  // 460 belongs to tus.
  CHECKSUM_MISMATCH: { name: 'digest-mismatching-values', title: 'Mismatching Digest Values', status: 400 },
}

/** The problem details for `error`. @param limits the size limits, for a 413 */
export function toProblem(error: UploadError, dialect: Dialect, limits: Pick<Limits, 'maxSize'> | null): Problem {
  const { facts, message } = error
  const type = types[codeIn(dialect, error)]
  const status = type?.status ?? statusIn(dialect, error)
  const isComplete = facts.isComplete === true
  return {
    status,
    headers: {
      ...errorHeaders(error),
      ...completeness(isComplete, dialect),
      ...(typeof facts.offset === 'number' && { 'upload-offset': serializeInteger(facts.offset) }),
      ...(status === 413 && limitHeader(dialect, limits)),
    },
    body: {
      type: type ? registry + type.name : 'about:blank',
      title: type?.title ?? STATUS_CODES[status] ?? 'Unknown',
      status,
      detail: message,
      ...(error.code === 'OFFSET_MISMATCH' && {
        'expected-offset': Number(facts.offset),
        'provided-offset': Number(facts.provided),
      }),
      ...errorBody(error),
    },
  }
}

/** Draft -12 dropped the problem type for a completed upload: bytes beyond its end contradict its length. */
function codeIn(dialect: Dialect, { code }: UploadError): ErrorCode {
  return code === 'UPLOAD_COMPLETED' && !dialect.knowsCompleted ? 'LENGTH_MISMATCH' : code
}

/** Until draft -05 an upload that has ended is 404, however it ended. */
function statusIn(dialect: Dialect, { status, code }: UploadError): number {
  if (code === 'UPLOAD_COMPLETED') return 400
  return status === 410 && dialect.strictHeaders ? 404 : status
}
