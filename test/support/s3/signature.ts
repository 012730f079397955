import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { S3Error } from './error.ts'

/** A verified signature, by which the signatures inside the body are checked. */
export interface Signed {
  /** `x-amz-content-sha256`: a hash, `UNSIGNED-PAYLOAD` or one of the `STREAMING-…` words. */
  payload: string
  signature: string
  /** Signs a chunk or the trailer of the body. */
  sign(kind: string, previous: string, ...rest: string[]): string
}

export interface Keys {
  accessKeyId: string
  secretAccessKey: string
  region: string
}

interface SignatureFields {
  credential: string
  signedHeaders: string[]
  signature: string
  date: string
  payload: string
  expires: number | null
}

const skewMs = 15 * 60_000
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/**
 * Verifies an AWS Signature Version 4, in the header or in the query.
 * @throws S3Error with S3's code; that of a wrong signature has the canonical request, for comparison
 * @see docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function verifySignature(request: IncomingMessage, keys: Keys, now: Date): Signed {
  const [path, query] = split(request.url ?? '/')
  const parameters = parseQuery(query)
  const fields = readFields(request, parameters)
  const [accessKeyId, day, region, service, terminator] = fields.credential.split('/')
  if (accessKeyId !== keys.accessKeyId)
    throw new S3Error('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.')
  if (region !== keys.region || service !== 's3' || terminator !== 'aws4_request' || day !== fields.date.slice(0, 8))
    throw new S3Error(
      'AuthorizationHeaderMalformed',
      `The credential scope is wrong; expecting ${keys.region}/s3/aws4_request`,
      {
        Region: keys.region,
      },
    )
  checkTime(fields, now)
  checkCoverage(request, fields)

  const canonicalHeaders = fields.signedHeaders.map((name) => `${name}:${headerText(request, name)}\n`).join('')
  const canonicalQuery = parameters
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map((pair) => pair.join('='))
    .join('&')
  const canonicalPath = path
    .split('/')
    .map((segment) => encode(decodeURIComponent(segment)))
    .join('/')
  const canonicalRequest = [
    request.method,
    canonicalPath,
    canonicalQuery,
    canonicalHeaders,
    fields.signedHeaders.join(';'),
    fields.payload,
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const key = hmac(hmac(hmac(hmac(`AWS4${keys.secretAccessKey}`, day), region), 's3'), 'aws4_request')
  const stringToSign = ['AWS4-HMAC-SHA256', fields.date, scope, sha256(canonicalRequest)].join('\n')
  const wanted = hmac(key, stringToSign)
  const given = Buffer.from(fields.signature, 'hex')
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
      { StringToSign: stringToSign, CanonicalRequest: canonicalRequest },
    )
  return {
    payload: fields.payload,
    signature: fields.signature,
    sign: (kind, previous, ...rest) =>
      hmac(key, [kind, fields.date, scope, previous, ...rest].join('\n')).toString('hex'),
  }
}

function readFields(request: IncomingMessage, parameters: [string, string][]): SignatureFields {
  const header = request.headers.authorization
  const query = new Map(parameters)
  if (header !== undefined) {
    const found = /^AWS4-HMAC-SHA256 Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]+)$/.exec(
      header,
    )
    if (!found)
      throw new S3Error('AuthorizationHeaderMalformed', 'The authorization header that you provided is not valid.')
    const payload = headerText(request, 'x-amz-content-sha256')
    if (payload === '')
      throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
    return {
      credential: found[1] ?? '',
      signedHeaders: (found[2] ?? '').split(';'),
      signature: found[3] ?? '',
      date: headerText(request, 'x-amz-date'),
      payload,
      expires: null,
    }
  }
  if (query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') throw new S3Error('AccessDenied', 'Access Denied')
  return {
    credential: query.get('X-Amz-Credential') ?? '',
    signedHeaders: (query.get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    date: query.get('X-Amz-Date') ?? '',
    payload: query.get('X-Amz-Content-Sha256') ?? (headerText(request, 'x-amz-content-sha256') || 'UNSIGNED-PAYLOAD'),
    expires: Number(query.get('X-Amz-Expires') ?? Number.NaN),
  }
}

function checkTime(fields: SignatureFields, now: Date): void {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(fields.date)
  if (!parts) throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number)
  const age = now.getTime() - Date.UTC(year, month - 1, day, hour, minute, second)
  if (fields.expires === null) {
    if (Math.abs(age) <= skewMs) return
    throw new S3Error(
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    )
  }
  if (!(fields.expires >= 1 && fields.expires <= 604_800))
    throw new S3Error('AuthorizationQueryParametersError', 'X-Amz-Expires must be between 1 and 604800 seconds')
  if (age < -skewMs) throw new S3Error('AccessDenied', 'Request is not valid yet')
  if (age > fields.expires * 1000) throw new S3Error('AccessDenied', 'Request has expired')
}

// S3 requires that the signature covers host and every x-amz-* header.
function checkCoverage(request: IncomingMessage, fields: SignatureFields): void {
  const covered = new Set(fields.signedHeaders)
  const unsigned = Object.keys(request.headers).filter(
    (name) => !covered.has(name) && (name === 'host' || name.startsWith('x-amz-')) && name !== 'x-amz-content-sha256',
  )
  if (unsigned.length === 0) return
  throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
    HeadersNotSigned: unsigned.join(', '),
  })
}

function headerText(request: IncomingMessage, name: string): string {
  const value = request.headers[name] ?? ''
  return (Array.isArray(value) ? value.join(',') : value).trim().replace(/\s+/g, ' ')
}

function split(url: string): [string, string] {
  const mark = url.indexOf('?')
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)]
}

/** Decodes a query. `+` stays `+`: S3 clients send `%20` for a space. */
export function parseQuery(query: string): [string, string][] {
  if (query === '') return []
  return query.split('&').map((pair) => {
    const mark = pair.indexOf('=')
    const [name, value] = mark < 0 ? [pair, ''] : [pair.slice(0, mark), pair.slice(mark + 1)]
    return [decodeURIComponent(name), decodeURIComponent(value)]
  })
}

/** Percent-encodes as RFC 3986 and AWS do: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
