import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import type { KeepMode } from './s3/blobs.ts'
import { createBucket, type Limits } from './s3/bucket.ts'
import { createFaults, type Faults } from './s3/faults.ts'
import { readObject } from './s3/reading.ts'
import { type Seen, type StandInState, serve } from './s3/serve.ts'

export interface StandInOptions {
  port?: number
  bucket?: string
  region?: string
  accessKeyId?: string
  secretAccessKey?: string
  /** `memory` by default; see `KeepMode`. */
  keep?: KeepMode
  /** S3's own by default: parts of at least 5 MiB, at most 10,000 of them. `equalParts` is R2's rule. */
  limits?: Partial<Limits>
  equalParts?: boolean
  /** `opaque` saves the MD5 of every byte, for measurements, and is what S3 does when it encrypts with KMS. */
  etags?: 'md5' | 'opaque'
  /** The delay before every response. */
  latencyMs?: number
  /** The bucket reports versioning as enabled, but keeps no versions. */
  versioned?: boolean
  /** Object Lock is on: a write without a checksum is refused. */
  locked?: boolean
  /** The key has no s3:ListBucket. */
  unlisted?: boolean
}

export interface S3StandIn {
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  bucket: string
  /** The settings with which a Landfall server uses this stand-in. */
  settings: Record<'S3_ENDPOINT' | 'S3_BUCKET' | 'S3_ACCESS_KEY_ID' | 'S3_SECRET_ACCESS_KEY', string>
  faults: Faults
  /** The number of requests, by operation. */
  requests: Record<string, number>
  seen: Seen[]
  forgetRequests(): void
  objects(): { key: string; size: number; etag: string; contentType: string; partSizes: number[] }[]
  /** The objects outside `.landfall/`: the files of users. */
  files(): { key: string; size: number }[]
  multiparts(): { key: string; uploadId: string; parts: { number: number; size: number; etag: string }[] }[]
  /** The bytes of an object, or `null`. */
  bytesOf(key: string): Promise<Buffer | null>
  sha256Of(key: string): Promise<string | null>
  /** Aborts open multipart uploads, of `key` or all, like a lifecycle rule. */
  abortMultiparts(key?: string): Promise<void>
  removeObject(key: string): Promise<void>
  setLatency(ms: number): void
  /** Sets the server's clock ahead of this machine's by `aheadMs`. */
  setClock(aheadMs: number): void
  close(): Promise<void>
}

/** Starts an S3 server on 127.0.0.1 that is as strict as the real ones and fails on demand. */
export async function startS3StandIn(options: StandInOptions = {}): Promise<S3StandIn> {
  const limits: Limits = {
    minPartSize: 5 * 1024 * 1024,
    maxPartSize: 5 * 1024 ** 3,
    maxParts: 10_000,
    equalParts: options.equalParts ?? false,
    ...options.limits,
  }
  const keys = {
    accessKeyId: options.accessKeyId ?? 'test-access-key',
    secretAccessKey: options.secretAccessKey ?? 'test-secret-key',
    region: options.region ?? 'us-east-1',
  }
  const bucket = createBucket(limits, () => new Date())
  const faults = createFaults()
  const requests: Record<string, number> = {}
  const seen: Seen[] = []
  const state: StandInState = {
    bucket,
    bucketName: options.bucket ?? 'uploads',
    limits,
    keys,
    keep: options.keep ?? 'memory',
    md5: (options.etags ?? 'md5') === 'md5',
    latencyMs: options.latencyMs ?? 0,
    versioned: options.versioned ?? false,
    locked: options.locked ?? false,
    unlisted: options.unlisted ?? false,
    clockOffsetMs: 0,
    faults,
    note(operation, key, partNumber) {
      requests[operation] = (requests[operation] ?? 0) + 1
      const entry: Seen = { operation, key, partNumber, status: 0, bytes: 0 }
      seen.push(entry)
      return entry
    },
  }
  const server = createServer(
    { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 },
    (request, response) => {
      const { socket } = request
      serve(state, request, response).catch(() => socket.destroy())
    },
  )
  server.listen(options.port ?? 0, '127.0.0.1')
  await listening(server)

  const objectOf = (key: string) => bucket.objects.get(key) ?? null
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    endpoint,
    ...keys,
    bucket: state.bucketName,
    settings: {
      S3_ENDPOINT: endpoint,
      S3_BUCKET: state.bucketName,
      S3_ACCESS_KEY_ID: keys.accessKeyId,
      S3_SECRET_ACCESS_KEY: keys.secretAccessKey,
    },
    faults,
    requests,
    seen,
    forgetRequests() {
      for (const operation of Object.keys(requests)) delete requests[operation]
      seen.length = 0
    },
    files: () =>
      [...bucket.objects.values()]
        .filter(({ key }) => !key.startsWith('.landfall/'))
        .map(({ key, size }) => ({ key, size })),
    objects: () =>
      [...bucket.objects.values()].map(({ key, size, etag, metadata, partSizes }) => ({
        key,
        size,
        etag,
        contentType: metadata['content-type'] ?? '',
        partSizes,
      })),
    multiparts: () =>
      [...bucket.multiparts.values()].map(({ key, uploadId, parts }) => ({
        key,
        uploadId,
        parts: [...parts.values()]
          .map(({ number, size, etag }) => ({ number, size, etag }))
          .sort((a, b) => a.number - b.number),
      })),
    async bytesOf(key) {
      const found = objectOf(key)
      if (!found) return null
      const chunks: Buffer[] = []
      for await (const chunk of readObject(found, 0, found.size)) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
    async sha256Of(key) {
      const found = objectOf(key)
      if (!found) return null
      const hash = createHash('sha256')
      for await (const chunk of readObject(found, 0, found.size)) hash.update(chunk)
      return hash.digest('hex')
    },
    async abortMultiparts(key) {
      const matching = [...bucket.multiparts.values()].filter((each) => key === undefined || each.key === key)
      for (const multipart of matching) await bucket.abort(multipart)
    },
    removeObject: (key) => bucket.remove(key),
    setLatency(ms) {
      state.latencyMs = ms
    },
    setClock(aheadMs) {
      state.clockOffsetMs = aheadMs
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', reject)
  })
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      bucket: { type: 'string' },
      directory: { type: 'string' },
      'forget-parts': { type: 'boolean', default: false },
      'opaque-etags': { type: 'boolean', default: false },
      'equal-parts': { type: 'boolean', default: false },
      'latency-ms': { type: 'string', default: '0' },
    },
  })
  const s3 = await startS3StandIn({
    port: Number(values.port),
    ...(values.bucket === undefined ? {} : { bucket: values.bucket }),
    keep:
      values.directory === undefined ? (values['forget-parts'] ? 'hashes' : 'memory') : { directory: values.directory },
    etags: values['opaque-etags'] ? 'opaque' : 'md5',
    equalParts: values['equal-parts'],
    latencyMs: Number(values['latency-ms']),
  })
  console.log(`export TEST_S3_ENDPOINT=${s3.endpoint}`)
  console.log(`export TEST_S3_REGION=${s3.region}`)
  console.log(`export TEST_S3_BUCKET=${s3.bucket}`)
  console.log(`export TEST_S3_ACCESS_KEY_ID=${s3.accessKeyId}`)
  console.log(`export TEST_S3_SECRET_ACCESS_KEY=${s3.secretAccessKey}`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void s3.close())
}
