import { errors } from '../../core/errors/errors.ts'
import { NoSuchKey, NoSuchUpload } from '../../core/ports/object-store.ts'

/** An error response of the S3 server, or a failure to reach it. `status` is 0 when there was no response. */
export class S3Error extends Error {
  override name = 'S3Error'
  readonly operation: string
  readonly status: number
  readonly code: string
  readonly retryAfterMs: number
  /** The S3 server's own message, for operators. */
  readonly detail: string | undefined
  /** The server's clock differs from ours: the request may succeed once it is signed again with the server's time. */
  readonly isOtherTime: boolean

  constructor(
    operation: string,
    status: number,
    code: string,
    options: { cause?: unknown; retryAfterMs?: number; detail?: string; isOtherTime?: boolean } = {},
  ) {
    super(`${operation} failed: ${status === 0 ? 'no response' : status} ${code}`, { cause: options.cause })
    this.operation = operation
    this.status = status
    this.code = code
    this.retryAfterMs = options.retryAfterMs ?? 0
    this.detail = options.detail
    this.isOtherTime = options.isOtherTime ?? false
  }

  /** Whether the same request may succeed a moment later. */
  get isTransient(): boolean {
    return (
      this.isOtherTime ||
      this.status === 0 ||
      (this.status >= 500 && this.status !== 501) ||
      this.status === 429 ||
      transientCodes.has(this.code)
    )
  }
}

// BadDigest: bytes that were corrupted in transit may arrive intact next time. The last two: S3 answers them to concurrent writes of one
// key and expects a retry (docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
const transientCodes = new Set([
  'RequestTimeout',
  'BadDigest',
  'SlowDown',
  'ConditionalRequestConflict',
  'OperationAborted',
])

/** Converts an error of the SDK. */
export function toS3Error(operation: string, error: unknown): S3Error {
  if (error instanceof S3Error) return error
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } }
  return new S3Error(operation, $metadata?.httpStatusCode ?? 0, name ?? 'unknown', { cause: error })
}

/** Converts to the errors that core knows: NoSuchUpload, NoSuchKey, or UploadError STORE_UNAVAILABLE. */
export function toUploadError(error: S3Error): Error {
  if (error.code === 'NoSuchUpload') return new NoSuchUpload('no such multipart upload', { cause: error })
  if (error.code === 'NoSuchKey') return new NoSuchKey('no such object', { cause: error })
  return errors.storeUnavailable(factsOf(error), error)
}

/** Facts for the log, without bucket or key names. */
export function factsOf({ operation, status, code }: S3Error) {
  return { operation, storeStatus: status, storeCode: code }
}

const unknownCredentials = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'InvalidSecurity',
  'InvalidToken',
  'ExpiredToken',
  'Unauthorized',
])

/** Whether the S3 server does not know the access key or its secret; a known key without a right gets `AccessDenied`. */
export function isUnknownKey({ status, code }: S3Error): boolean {
  return status === 401 || unknownCredentials.has(code)
}

/** A sentence for the operator about what is wrong with the bucket. */
export function explain(error: S3Error, bucket: string): string {
  const { operation, status, code, cause, detail } = error
  if (code === 'RequestTimeTooSkewed') return "this machine's clock differs too much from the S3 server's"
  if (status === 0) return `the S3 server cannot be reached (${cause instanceof Error ? cause.message : code})`
  if (status === 404) return `the bucket ${bucket} does not exist`
  if (isUnknownKey(error)) return `the S3 server refuses these credentials for the bucket ${bucket}`
  if (status === 403)
    return `the S3 server does not let this key use the bucket ${bucket} (${operation} needs ${rightFor(operation)})`
  if (status === 301 || code === 'AuthorizationHeaderMalformed') return `the bucket ${bucket} is in another region`
  if (status === 400) return `the S3 server refuses ${operation} (${code}): ${detail ?? 'it gives no reason'}`
  return `the S3 server answers ${status} ${code}`
}

/** The permission that an operation needs, by its AWS name. */
function rightFor(operation: string): string {
  if (/^(HeadBucket|ListObjects)/.test(operation)) return 's3:ListBucket'
  if (/^(PutObject|UploadPart|CreateMultipart|CompleteMultipart)/.test(operation)) return 's3:PutObject'
  if (/^(GetObject|HeadObject)/.test(operation)) return 's3:GetObject'
  return `s3:${operation}`
}
