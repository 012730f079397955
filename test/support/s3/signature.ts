import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { S3Refusal } from './refusal.ts'

/** What a good signature says about the request, and what is needed to check the signatures inside its body. */
export interface Signed {
  /** `x-amz-content-sha256`: a hash, `UNSIGNED-PAYLOAD` or one of the `STREAMING-…` words. */
  payload: string
  signature: string
  /** Signs what follows: a chunk or a trailer of the body. */
  sign(kind: string, previous: string, ...rest: string[]): string
}

export interface Keys {
  accessKeyId: string
  secretAccessKey: string
  region: string
}

interface Claim {
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
 * Checks an AWS Signature Version 4, in the header or in the query.
 * @throws Refusal with the code S3 uses; a wrong signature comes with the canonical request, to compare
 * @see docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function verifySignature(request: IncomingMessage, keys: Keys, now: Date): Signed {
  const [path, query] = split(request.url ?? '/')
  const parameters = parseQuery(query)
  const claim = readClaim(request, parameters)
  const [accessKeyId, day, region, service, terminator] = claim.credential.split('/')
  if (accessKeyId !== keys.accessKeyId)
    throw new S3Refusal('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.')
  if (region !== keys.region || service !== 's3' || terminator !== 'aws4_request' || day !== claim.date.slice(0, 8))
    throw new S3Refusal(
      'AuthorizationHeaderMalformed',
      `The credential scope is wrong; expecting ${keys.region}/s3/aws4_request`,
      {
        Region: keys.region,
      },
    )
  checkTime(claim, now)
  checkCoverage(request, claim)

  const canonicalHeaders = claim.signedHeaders.map((name) => `${name}:${headerText(request, name)}\n`).join('')
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
    claim.signedHeaders.join(';'),
    claim.payload,
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const key = hmac(hmac(hmac(hmac(`AWS4${keys.secretAccessKey}`, day), region), 's3'), 'aws4_request')
  const stringToSign = ['AWS4-HMAC-SHA256', claim.date, scope, sha256(canonicalRequest)].join('\n')
  const wanted = hmac(key, stringToSign)
  const given = Buffer.from(claim.signature, 'hex')
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
    throw new S3Refusal(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
      { StringToSign: stringToSign, CanonicalRequest: canonicalRequest },
    )
  return {
    payload: claim.payload,
    signature: claim.signature,
    sign: (kind, previous, ...rest) =>
      hmac(key, [kind, claim.date, scope, previous, ...rest].join('\n')).toString('hex'),
  }
}

function readClaim(request: IncomingMessage, parameters: [string, string][]): Claim {
  const header = request.headers.authorization
  const query = new Map(parameters)
  if (header !== undefined) {
    const found = /^AWS4-HMAC-SHA256 Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]+)$/.exec(
      header,
    )
    if (!found)
      throw new S3Refusal('AuthorizationHeaderMalformed', 'The authorization header that you provided is not valid.')
    const payload = headerText(request, 'x-amz-content-sha256')
    if (payload === '')
      throw new S3Refusal('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
    return {
      credential: found[1] ?? '',
      signedHeaders: (found[2] ?? '').split(';'),
      signature: found[3] ?? '',
      date: headerText(request, 'x-amz-date'),
      payload,
      expires: null,
    }
  }
  if (query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') throw new S3Refusal('AccessDenied', 'Access Denied')
  return {
    credential: query.get('X-Amz-Credential') ?? '',
    signedHeaders: (query.get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    date: query.get('X-Amz-Date') ?? '',
    payload: query.get('X-Amz-Content-Sha256') ?? (headerText(request, 'x-amz-content-sha256') || 'UNSIGNED-PAYLOAD'),
    expires: Number(query.get('X-Amz-Expires') ?? Number.NaN),
  }
}

function checkTime(claim: Claim, now: Date): void {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(claim.date)
  if (!parts) throw new S3Refusal('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number)
  const age = now.getTime() - Date.UTC(year, month - 1, day, hour, minute, second)
  if (claim.expires === null) {
    if (Math.abs(age) <= skewMs) return
    throw new S3Refusal(
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    )
  }
  if (!(claim.expires >= 1 && claim.expires <= 604_800))
    throw new S3Refusal('AuthorizationQueryParametersError', 'X-Amz-Expires must be between 1 and 604800 seconds')
  if (age < -skewMs) throw new S3Refusal('AccessDenied', 'Request is not valid yet')
  if (age > claim.expires * 1000) throw new S3Refusal('AccessDenied', 'Request has expired')
}

// S3 demands that host and every x-amz-* header are under the signature.
function checkCoverage(request: IncomingMessage, claim: Claim): void {
  const covered = new Set(claim.signedHeaders)
  const bare = Object.keys(request.headers).filter(
    (name) => !covered.has(name) && (name === 'host' || name.startsWith('x-amz-')) && name !== 'x-amz-content-sha256',
  )
  if (bare.length === 0) return
  throw new S3Refusal('AccessDenied', 'There were headers present in the request which were not signed', {
    HeadersNotSigned: bare.join(', '),
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

/** Decodes a query without taking `+` for a space: S3 clients send `%20`. */
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
