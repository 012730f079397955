import { defineError } from './define.ts'

/** `retryAfter`: seconds. */
type RateFacts = { rule: string; retryAfter: number }

/** Errors of a request before it reaches an upload: its HTTP, its headers and body, and the limits of this server. */
export const requestErrors = {
  // The request line and the headers.
  notHttp: defineError('INVALID_REQUEST', 'The request is not valid HTTP.'),
  httpVersionNotSupported: defineError('INVALID_REQUEST', 'This server supports HTTP/1.1 and HTTP/1.0 only.'),
  targetInvalid: defineError(
    'INVALID_REQUEST',
    'The target of the request must be a path that begins with a slash, or an http URL.',
  ),
  hostInvalid: defineError(
    'INVALID_REQUEST',
    'The header Host is missing or not valid. It must have the name of the server and its port.',
  ),
  headerRepeated: defineError(
    'INVALID_REQUEST',
    ({ header }: { header: string }) => `The header ${header} may be sent only once.`,
  ),
  transferEncodingInHttp10: defineError(
    'INVALID_REQUEST',
    'HTTP/1.0 has no Transfer-Encoding. Please send Content-Length.',
  ),
  transferEncodingNotSupported: defineError('INVALID_REQUEST', 'The only Transfer-Encoding supported is chunked.'),
  connectNotSupported: defineError('INVALID_REQUEST', 'This server is not a proxy and does not answer CONNECT.'),
  headersTooLarge: defineError('HEADERS_TOO_LARGE', 'The headers of the request are too large.'),
  headersTimeout: defineError('HEADERS_TIMEOUT', 'The headers of the request did not arrive in time.'),
  notFound: defineError('NOT_FOUND', 'There is nothing at this address.'),
  preconditionFailed: defineError('PRECONDITION_FAILED', 'A precondition of the request does not hold.'),
  /** `problem` describes what the client sent and nothing else. */
  requestInvalid: defineError(
    'INVALID_REQUEST',
    ({ problem }: { problem: string }) => `The request is not valid: ${problem}.`,
  ),
  timeInvalid: defineError('INVALID_FIELD', 'A time must be between the years 1 and 9999.'),

  // Upload-Metadata.
  metadataTooLong: defineError(
    'INVALID_METADATA',
    ({ maxBytes }: { maxBytes: number }) => `Upload-Metadata may have at most ${maxBytes} bytes.`,
  ),
  metadataKeyInvalid: defineError('INVALID_METADATA', 'Upload-Metadata has a key that is empty or not ASCII.'),
  metadataKeyRepeated: defineError('INVALID_METADATA', 'Upload-Metadata has the same key twice.'),
  metadataNotBase64: defineError('INVALID_METADATA', 'Upload-Metadata has a value that is not Base64.'),
  metadataNotText: defineError('INVALID_METADATA', 'Upload-Metadata has a file name or category that is not UTF-8.'),

  // Bodies.
  mediaTypeNotSupported: defineError('UNSUPPORTED_CONTENT_TYPE', 'The Content-Type of the request is not supported.'),
  contentCodingNotSupported: defineError(
    'UNSUPPORTED_CONTENT_TYPE',
    'Content-Encoding is not supported. Please send the bytes of the file as they are.',
  ),
  bodyTooLarge: defineError('FILE_TOO_LARGE', 'The request body is too large.'),
  bodyLimitExceeded: defineError(
    'FILE_TOO_LARGE',
    ({ limit }: { limit: number }) => `The request body may have at most ${limit} bytes.`,
  ),
  bodyIncomplete: defineError('INVALID_REQUEST', 'The request body ended before it was complete.'),
  bodyTimeout: defineError('BODY_TIMEOUT', 'The request body did not arrive in time.'),
  bodyNestedTooDeep: defineError(
    'INVALID_REQUEST',
    ({ depth }: { depth: number }) => `The request body nests more than ${depth} levels.`,
  ),
  bodyTooManyValues: defineError(
    'INVALID_REQUEST',
    ({ values }: { values: number }) => `The request body has more than ${values} values.`,
  ),
  bodyNotUtf8: defineError('INVALID_REQUEST', 'The request body is not valid UTF-8.'),

  checksumMismatch: defineError(
    'CHECKSUM_MISMATCH',
    'The bytes that arrived do not match their checksum. Please send them again.',
  ),
  patchTypeUnsupported: defineError(
    'UNSUPPORTED_CONTENT_TYPE',
    ({ expected }: { expected: string }) => `The content type of a PATCH must be ${expected}.`,
  ),

  // Rate limits and overload.
  tooManyRequests: defineError('RATE_LIMITED', 'Too many requests. Please try again later.'),
  addressRateExceeded: defineError('RATE_LIMITED', (_: RateFacts) => 'Too many requests come from your address.'),
  userRateExceeded: defineError(
    'RATE_LIMITED',
    ({ perMinute }: RateFacts & { perMinute: number }) => `You may send at most ${perMinute} requests a minute.`,
  ),
  addressCreationsTooFast: defineError(
    'RATE_LIMITED',
    (_: RateFacts) => 'Too many uploads are created from your address.',
  ),
  serverOverloaded: defineError(
    'OVERLOADED',
    (_: { rule: string }) => 'The server is overloaded. Please try again in a moment.',
  ),
  addressOverloaded: defineError(
    'OVERLOADED',
    (_: { rule: string }) => 'Too many requests from your address are in progress. Please try again in a moment.',
  ),
  userOverloaded: defineError(
    'OVERLOADED',
    (_: { rule: string }) => 'Too many of your requests are in progress. Please try again in a moment.',
  ),

  // Anything else.
  internalError: defineError('INTERNAL_ERROR', 'Something went wrong on the server.'),
}
