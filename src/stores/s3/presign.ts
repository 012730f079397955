import aws4 from 'aws4'
import type { PresignedRead } from '../../core/ports/object-store.ts'
import { type Credentials, credentialsForAws4, escapeKey } from './send.ts'

export interface PresignOptions {
  /** Scheme, host and port, with the bucket as path in path style. */
  base: URL
  region: string
  credentials: Credentials
}

/**
 * A URL at which anyone may GET the object for some seconds, with the headers of `served`: they are part of the signature, so the store
 * refuses a URL in which one was changed or removed. A few hashes, no request.
 * @see docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
export function presignRead({ base, region, credentials }: PresignOptions, key: string, served: PresignedRead): string {
  const query = new URLSearchParams({
    'X-Amz-Expires': String(served.seconds),
    'response-cache-control': served.cacheControl,
    'response-content-disposition': served.contentDisposition,
    'response-content-type': served.contentType,
  })
  const path = `${base.pathname.replace(/\/$/, '')}/${escapeKey(key)}?${query}`
  const request = { host: base.host, path, service: 's3', region, method: 'GET', signQuery: true }
  return base.origin + aws4.sign(request, credentialsForAws4(credentials)).path
}
