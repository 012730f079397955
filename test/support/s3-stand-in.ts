import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Keeping, writeBlob } from './s3/blobs.ts'
import { type Bucket, createBucket, type Limits } from './s3/bucket.ts'
import { startSum } from './s3/checksums.ts'
import { createFaults, type Fault, type Faults } from './s3/faults.ts'
import { type Answer, type Call, nameOperation, operations, readObject } from './s3/operations.ts'
import { receive } from './s3/payload.ts'
import { codeFor, errorDocument, Refusal } from './s3/refusal.ts'
import { parseQuery, verifySignature } from './s3/signature.ts'

export interface StandInOptions {
  port?: number
  bucket?: string
  region?: string
  accessKeyId?: string
  secretAccessKey?: string
  /** `memory` unless told; see `Keeping`. */
  keep?: Keeping
  /** S3's own unless told: parts of 5 MiB at least, 10,000 of them. `equalParts` is R2's rule. */
  limits?: Partial<Limits>
  equalParts?: boolean
  /** `opaque` spares the MD5 of every byte, for measurements; S3 does so too when it encrypts with KMS. */
  etags?: 'md5' | 'opaque'
  /** Waits so long before every answer. */
  latencyMs?: number
}

/** What happened, in order of arrival. */
export interface Seen {
  operation: string
  key: string
  partNumber: number | null
  /** What was answered; 0 while it is under way and after a cut. */
  status: number
  bytes: number
}

export interface S3StandIn {
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  bucket: string
  faults: Faults
  /** How many requests came, by operation. */
  requests: Record<string, number>
  seen: Seen[]
  forgetRequests(): void
  objects(): { key: string; size: number; etag: string; contentType: string; partSizes: number[] }[]
  multiparts(): { key: string; uploadId: string; parts: { number: number; size: number; etag: string }[] }[]
  /** The bytes of an object, or `null`. */
  bytesOf(key: string): Promise<Buffer | null>
  sha256Of(key: string): Promise<string | null>
  /** What a lifecycle rule does: forgets open multipart uploads, of `key` or all. */
  abortMultiparts(key?: string): Promise<void>
  removeObject(key: string): Promise<void>
  setLatency(ms: number): void
  close(): Promise<void>
}

/** Starts an S3 server on 127.0.0.1 that is as strict as the real ones and goes wrong when asked to. */
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
  const world: World = {
    bucket,
    bucketName: options.bucket ?? 'uploads',
    limits,
    keys,
    keep: options.keep ?? 'memory',
    md5: (options.etags ?? 'md5') === 'md5',
    latencyMs: options.latencyMs ?? 0,
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
      serve(world, request, response).catch(() => socket.destroy())
    },
  )
  server.listen(options.port ?? 0, '127.0.0.1')
  await listening(server)

  const object = (key: string) => bucket.objects.get(key) ?? null
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...keys,
    bucket: world.bucketName,
    faults,
    requests,
    seen,
    forgetRequests() {
      for (const operation of Object.keys(requests)) delete requests[operation]
      seen.length = 0
    },
    objects: () =>
      [...bucket.objects.values()].map(({ key, size, etag, about, partSizes }) => ({
        key,
        size,
        etag,
        contentType: about['content-type'] ?? '',
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
      const found = object(key)
      if (!found) return null
      const chunks: Buffer[] = []
      for await (const chunk of readObject(found, 0, found.size)) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
    async sha256Of(key) {
      const found = object(key)
      if (!found) return null
      const hash = createHash('sha256')
      for await (const chunk of readObject(found, 0, found.size)) hash.update(chunk)
      return hash.digest('hex')
    },
    async abortMultiparts(key) {
      const gone = [...bucket.multiparts.values()].filter((each) => key === undefined || each.key === key)
      for (const multipart of gone) await bucket.abort(multipart)
    },
    removeObject: (key) => bucket.remove(key),
    setLatency(ms) {
      world.latencyMs = ms
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface World {
  bucket: Bucket
  bucketName: string
  limits: Limits
  keys: { accessKeyId: string; secretAccessKey: string; region: string }
  keep: Keeping
  md5: boolean
  latencyMs: number
  faults: ReturnType<typeof createFaults>
  note(operation: string, key: string, partNumber: number | null): Seen
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', reject)
  })
}

async function serve(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  const [, bucketName = '', ...rest] = (mark < 0 ? url : url.slice(0, mark)).split('/')
  const key = decodeURIComponent(rest.join('/'))
  const query = new Map(mark < 0 ? [] : parseQuery(url.slice(mark + 1)))
  // A presigned URL may carry in its query what would else be a header.
  const header = (name: string): string | undefined => {
    const value = request.headers[name] ?? (name.startsWith('x-amz-') ? query.get(name) : undefined)
    return Array.isArray(value) ? value.join(',') : value
  }
  const operation = nameOperation(request.method ?? '', key, query, header('x-amz-copy-source') !== undefined)
  const partNumber = query.has('partNumber') ? Number(query.get('partNumber')) : null
  const entry = world.note(operation, key, partNumber)

  const fault = world.faults.find({ operation, key, partNumber }) ?? {}
  if (world.latencyMs || fault.delayMs) await sleep(world.latencyMs + (fault.delayMs ?? 0))
  if (fault.hang === true) return
  if (fault.dropConnection) return dropConnection(request, fault.dropConnection)
  if (fault.abortMultipart) await abortNamed(world, query.get('uploadId') ?? '')
  const answer =
    isError(fault) && !fault.perform
      ? faultAnswer(fault)
      : await answerTo(world, request, { operation, bucketName, key, query, header, entry })
  if (fault.hang === 'after') return
  if (fault.dropReply) return void response.socket?.destroy()
  const final = isError(fault) ? faultAnswer(fault) : answer
  await drain(request)
  await send(request, response, final)
  entry.status = final.status
}

function isError(fault: Fault): boolean {
  return fault.status !== undefined || fault.errorBodyWith200 === true
}

function faultAnswer(fault: Fault): Answer {
  const status = fault.errorBodyWith200 ? 200 : (fault.status ?? 500)
  const code = fault.code ?? codeFor(fault.errorBodyWith200 ? 500 : status)
  const body = errorDocument(code, 'This was asked for by a test', { RequestId: 'fault' })
  return { status, headers: { 'content-type': 'application/xml' }, body }
}

async function dropConnection(request: IncomingMessage, how: NonNullable<Fault['dropConnection']>): Promise<void> {
  const { socket } = request
  let left = typeof how === 'object' ? how.afterBytes : 0
  if (left > 0) {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      left -= chunk.length
      if (left <= 0) break
    }
  }
  socket.resetAndDestroy()
}

async function abortNamed(world: World, uploadId: string): Promise<void> {
  const multipart = world.bucket.multiparts.get(uploadId)
  if (multipart) await world.bucket.abort(multipart)
}

async function answerTo(
  world: World,
  request: IncomingMessage,
  target: {
    operation: string
    bucketName: string
    key: string
    query: Map<string, string>
    header: Call['header']
    entry: Seen
  },
): Promise<Answer> {
  try {
    return await perform(world, request, target)
  } catch (thrown) {
    const refusal = thrown instanceof Refusal ? thrown : new Refusal('InternalError', String(thrown))
    const requestId = randomBytes(8).toString('hex').toUpperCase()
    const body = refusal.document(`/${target.bucketName}/${target.key}`, requestId)
    return {
      status: refusal.status,
      headers: { 'content-type': 'application/xml', 'x-amz-request-id': requestId },
      body,
    }
  }
}

async function perform(
  world: World,
  request: IncomingMessage,
  target: Parameters<typeof answerTo>[2],
): Promise<Answer> {
  const { operation, key, query, header } = target
  const signed = verifySignature(request, world.keys, new Date())
  if (target.bucketName !== world.bucketName) throw new Refusal('NoSuchBucket', 'The specified bucket does not exist')
  const run = operations[operation]
  if (!run)
    throw new Refusal('NotImplemented', 'A header or query you provided implies functionality that is not implemented')

  const isStored = operation === 'PutObject' || operation === 'UploadPart'
  if (isStored && request.headers['content-length'] === undefined && !signed.payload.startsWith('STREAMING-'))
    throw new Refusal('MissingContentLength', 'You must provide the Content-Length HTTP header.')
  if (isStored && Number(request.headers['content-length'] ?? 0) > world.limits.maxPartSize)
    throw new Refusal('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed object size.')
  const etagOf = (md5: Buffer | null): string => `"${(md5 ?? randomBytes(16)).toString('hex')}"`
  const call: Call = {
    bucket: world.bucket,
    bucketName: world.bucketName,
    limits: world.limits,
    key,
    query,
    header,
    metadata: metadataOf(request, query),
    now: new Date(),
    async store(isPart) {
      const writer = await writeBlob(world.keep, isPart)
      try {
        const take = (chunk: Buffer): void | Promise<void> => {
          target.entry.bytes += chunk.length
          return writer.write(chunk)
        }
        const received = await receive(request, signed, header, { md5: world.md5, take })
        return { ...received, etag: etagOf(world.md5 ? received.md5 : null), blob: await writer.done() }
      } catch (thrown) {
        await writer.drop()
        throw thrown
      }
    },
    async text() {
      const chunks: Buffer[] = []
      await receive(request, signed, header, { md5: false, take: (chunk) => void chunks.push(chunk) })
      return Buffer.concat(chunks).toString()
    },
    async copy(source, start, end, part) {
      const writer = await writeBlob(world.keep, part !== undefined)
      const md5 = createHash('md5')
      const sum = part?.algorithm ? startSum(part.algorithm) : null
      for await (const chunk of readObject(source, start, end)) {
        md5.update(chunk)
        sum?.update(chunk)
        await writer.write(chunk)
      }
      const digest = md5.digest()
      const checksum = part?.algorithm && sum ? { algorithm: part.algorithm, sum: sum.digest() } : null
      return { size: end - start, md5: digest, etag: etagOf(digest), blob: await writer.done(), checksum }
    },
  }
  return run(call)
}

function metadataOf(request: IncomingMessage, query: Map<string, string>): Record<string, string> {
  const all = [...query, ...Object.entries(request.headers)]
  return Object.fromEntries(
    all.flatMap(([name, value]) => (name.startsWith('x-amz-meta-') ? [[name, String(value)]] : [])),
  )
}

// An answer before the end of the body would race with the client's writing; S3 reads on as well.
async function drain(request: IncomingMessage): Promise<void> {
  if (request.readableEnded || request.destroyed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  request.once('end', resolve).once('close', resolve).resume()
  await promise
}

async function send(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  if (response.destroyed) return
  const { status, headers = {}, body = '' } = answer
  response.writeHead(status, {
    server: 'stand-in',
    ...(typeof body === 'string' ? { 'content-length': Buffer.byteLength(body) } : {}),
    ...headers,
  })
  if (request.method === 'HEAD' || status === 304 || typeof body === 'string')
    response.end(request.method === 'HEAD' ? undefined : body)
  else await pipeline(body, response)
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
