import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { isIP } from 'node:net'
import { S3Client } from '@aws-sdk/client-s3'
import type { S3Options } from './options.ts'

export const socketsAtOnce = 128
/** For the reads of objects: clients that read slowly must not take the connections that uploads are completed with. */
export const readSocketsAtOnce = 1024
/** The timeout of the slowest requests: completing thousands of parts takes minutes on some stores. */
export const longestMs = 300_000

/** The SDK client, for every request that brings no bytes of files. Credentials that are not set are looked up by the SDK. */
export function openClient(options: S3Options, maxAttempts = 4, sockets = socketsAtOnce): S3Client {
  const agent = { keepAlive: true, maxSockets: sockets }
  return new S3Client({
    ...(options.S3_ENDPOINT ? { endpoint: options.S3_ENDPOINT } : {}),
    region: options.S3_REGION,
    forcePathStyle: options.S3_FORCE_PATH_STYLE,
    ...(options.S3_ACCESS_KEY_ID && options.S3_SECRET_ACCESS_KEY
      ? { credentials: { accessKeyId: options.S3_ACCESS_KEY_ID, secretAccessKey: options.S3_SECRET_ACCESS_KEY } }
      : {}),
    // By default newer SDKs send checksums that R2, Ceph and others refuse: aws/aws-sdk-js-v3#6810.
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

/** The URL of the S3 server: `S3_ENDPOINT`, or that of AWS in the region. */
export function endpointOf({ S3_ENDPOINT, S3_REGION }: S3Options): string {
  return S3_ENDPOINT ?? `https://s3.${S3_REGION}.amazonaws.com`
}

/** The URL of the bucket, in path style or as a host name; also in path style where the SDK falls back to it. */
export function addressOf(options: S3Options): URL {
  const bucket = options.S3_BUCKET ?? ''
  const address = new URL(endpointOf(options))
  if (options.S3_FORCE_PATH_STYLE || !mayBeHost(bucket, address))
    address.pathname = `${address.pathname.replace(/\/$/, '')}/${bucket}`
  else address.host = `${bucket}.${address.host}`
  return address
}

/** An IP address has no subdomains, and a wildcard certificate does not cover names with dots. */
function mayBeHost(bucket: string, { protocol, hostname }: URL): boolean {
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return false
  return (protocol === 'https:' ? /^[a-z0-9-]+$/ : /^[a-z0-9.-]+$/).test(bucket)
}
