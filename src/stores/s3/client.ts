import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { isIP } from 'node:net'
import { S3Client } from '@aws-sdk/client-s3'
import type { S3Options } from './options.ts'

export const socketsAtOnce = 128
/** Milliseconds: joining thousands of parts takes minutes on some stores. */
export const longestMs = 300_000

/** The SDK as this store uses it, for everything but the bodies of parts. Keys that are not set are looked for where the SDK does. */
export function openClient(options: S3Options, maxAttempts = 4): S3Client {
  const agent = { keepAlive: true, maxSockets: socketsAtOnce }
  return new S3Client({
    ...(options.S3_ENDPOINT ? { endpoint: options.S3_ENDPOINT } : {}),
    region: options.S3_REGION,
    forcePathStyle: options.S3_FORCE_PATH_STYLE,
    ...(options.S3_ACCESS_KEY_ID && options.S3_SECRET_ACCESS_KEY
      ? { credentials: { accessKeyId: options.S3_ACCESS_KEY_ID, secretAccessKey: options.S3_SECRET_ACCESS_KEY } }
      : {}),
    // The SDK's newer default sends checksums that R2, Ceph and others refuse: aws/aws-sdk-js-v3#6810.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts,
    requestHandler: {
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
      connectionTimeout: 5000,
      requestTimeout: longestMs,
    },
  })
}

/** Where the S3 server is: the one that is set, or the region's of AWS. */
export function endpointOf({ S3_ENDPOINT, S3_REGION }: S3Options): string {
  return S3_ENDPOINT ?? `https://s3.${S3_REGION}.amazonaws.com`
}

/** Where the bucket is, in the way of addressing that is set; in the path also where the SDK puts it there all the same. */
export function addressOf(options: S3Options): URL {
  const bucket = options.S3_BUCKET ?? ''
  const address = new URL(endpointOf(options))
  if (options.S3_FORCE_PATH_STYLE || !mayBeHost(bucket, address))
    address.pathname = `${address.pathname.replace(/\/$/, '')}/${bucket}`
  else address.host = `${bucket}.${address.host}`
  return address
}

/** An address of numbers has no names below it, and a certificate for all names below one covers no dots. */
function mayBeHost(bucket: string, { protocol, hostname }: URL): boolean {
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return false
  return (protocol === 'https:' ? /^[a-z0-9-]+$/ : /^[a-z0-9.-]+$/).test(bucket)
}
