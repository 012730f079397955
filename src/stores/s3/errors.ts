import { type Facts, UploadError } from '../../core/errors/error.ts'
import { NoSuchKey, NoSuchUpload } from '../../core/ports.ts'

/** A refusal of the S3 server, or of the way to it. `status` is 0 when there was no answer. */
export class S3Error extends Error {
  override name = 'S3Fault'
  readonly operation: string
  readonly status: number
  readonly code: string
  readonly retryAfterMs: number
  /** What the S3 server says of it, for operators. */
  readonly detail: string | undefined
  /** The server's clock was found to differ: the request may succeed when it is signed anew. */
  readonly isOtherTime: boolean

  constructor(
    operation: string,
    status: number,
    code: string,
    options: { cause?: unknown; retryAfterMs?: number; detail?: string; isOtherTime?: boolean } = {},
  ) {
    super(`${operation} was answered with ${status === 0 ? 'nothing' : status} ${code}`, { cause: options.cause })
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

// Bytes that were changed on the way may come whole the next time. Two who write to one key at once are both told to come again: docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
const transientCodes = new Set([
  'RequestTimeout',
  'BadDigest',
  'SlowDown',
  'ConditionalRequestConflict',
  'OperationAborted',
])

/** The SDK's error as ours. */
export function toS3Error(operation: string, error: unknown): S3Error {
  if (error instanceof S3Error) return error
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } }
  return new S3Error(operation, $metadata?.httpStatusCode ?? 0, name ?? 'unknown', { cause: error })
}

/** What the core knows of: the multipart upload is gone, the object is not there, or the store is not to be had now. */
export function toUploadError(fault: S3Error): Error {
  if (fault.code === 'NoSuchUpload') return new NoSuchUpload('no such multipart upload', { cause: fault })
  if (fault.code === 'NoSuchKey') return new NoSuchKey('no such object', { cause: fault })
  return new UploadError(
    'STORE_UNAVAILABLE',
    'The store does not answer as it should. Please try again in a moment.',
    factsOf(fault),
    { cause: fault },
  )
}

/** What was asked and answered, without names. */
export function factsOf({ operation, status, code }: S3Error): Facts {
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

/** Whether the S3 server does not know the key or its secret; a known key without a right is `AccessDenied`. */
export function isUnknownKey(fault: S3Error): boolean {
  return fault.status === 401 || unknownCredentials.has(fault.code)
}

/** What is wrong with the bucket, in a sentence for the operator. */
export function explain(fault: S3Error, bucket: string): string {
  if (fault.code === 'RequestTimeTooSkewed') return "this machine's clock differs too much from the S3 server's"
  if (fault.status === 0)
    return `the S3 server cannot be reached (${fault.cause instanceof Error ? fault.cause.message : fault.code})`
  if (fault.status === 404) return `the bucket ${bucket} does not exist`
  if (isUnknownKey(fault)) return `the S3 server refuses these credentials for the bucket ${bucket}`
  if (fault.status === 403)
    return `the S3 server does not let this key use the bucket ${bucket} (${fault.operation} needs ${rightFor(fault.operation)})`
  if (fault.status === 301 || fault.code === 'AuthorizationHeaderMalformed')
    return `the bucket ${bucket} is in another region`
  if (fault.status === 400)
    return `the S3 server refuses ${fault.operation} (${fault.code}): ${fault.detail ?? 'it gives no reason'}`
  return `the S3 server answers ${fault.status} ${fault.code}`
}

/** The right that an operation needs, as AWS calls it. */
function rightFor(operation: string): string {
  if (/^(HeadBucket|ListObjects)/.test(operation)) return 's3:ListBucket'
  if (/^(PutObject|UploadPart|CreateMultipart|CompleteMultipart)/.test(operation)) return 's3:PutObject'
  if (/^(GetObject|HeadObject)/.test(operation)) return 's3:GetObject'
  return `s3:${operation}`
}
