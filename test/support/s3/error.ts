import { element, type Xml } from './xml.ts'

const statuses = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidDigest: 400,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MetadataTooLarge: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  NotModified: 304,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
  TooManyRequests: 429,
  XAmzContentSHA256Mismatch: 400,
} as const

export type S3ErrorCode = keyof typeof statuses

/** An error response of the stand-in, with S3's own codes. */
export class S3Error extends Error {
  readonly code: string
  readonly status: number
  readonly details: Record<string, Xml>

  constructor(code: S3ErrorCode, message: string, details: Record<string, Xml> = {}) {
    super(message)
    this.name = 'S3Error'
    this.code = code
    this.status = statuses[code]
    this.details = details
  }

  /** The XML document of S3's error response. */
  document(resource: string, requestId: string): string {
    return errorDocument(this.code, this.message, { ...this.details, Resource: resource, RequestId: requestId })
  }
}

/** An error document for an injected fault. */
export function errorDocument(code: string, message: string, details: Record<string, Xml> = {}): string {
  return element('Error', { Code: code, Message: message, ...details })
}

/** The code that S3 most likely sends with `status`. */
export function codeFor(status: number): string {
  if (status === 503) return 'SlowDown'
  if (status === 404) return 'NoSuchKey'
  if (status === 403) return 'AccessDenied'
  return Object.entries(statuses).find(([, known]) => known === status)?.[0] ?? 'InternalError'
}
