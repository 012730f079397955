import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KeepMode, writeBlob } from './blobs.ts'
import type { Bucket, Limits } from './bucket.ts'
import { startSum } from './checksums.ts'
import { codeFor, errorDocument, S3Error } from './error.ts'
import type { Fault, FaultRegistry } from './faults.ts'
import { type Answer, type Call, nameOperation, operations } from './operations.ts'
import { receive } from './payload.ts'
import { readObject } from './reading.ts'
import { type Keys, parseQuery, verifySignature } from './signature.ts'

/** A request, in the order of arrival. */
export interface Seen {
  operation: string
  key: string
  partNumber: number | null
  /** The status of the response; 0 while there is none and when the connection was closed without one. */
  status: number
  bytes: number
}

/** The state of the stand-in, which requests read and change. */
export interface StandInState {
  bucket: Bucket
  bucketName: string
  limits: Limits
  keys: Keys
  keep: KeepMode
  md5: boolean
  latencyMs: number
  versioned: boolean
  locked: boolean
  /** The key has no s3:ListBucket: it may not list the bucket, and a missing object is answered with 403. */
  unlisted: boolean
  /** By how much the clock of this server is ahead of the machine's. */
  clockOffsetMs: number
  faults: FaultRegistry
  note(operation: string, key: string, partNumber: number | null): Seen
}

/** Handles one request, with the fault that is armed for it. */
export async function serve(state: StandInState, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  const [, bucketName = '', ...rest] = (mark < 0 ? url : url.slice(0, mark)).split('/')
  const key = decodeURIComponent(rest.join('/'))
  const query = new Map(mark < 0 ? [] : parseQuery(url.slice(mark + 1)))
  // A presigned URL may have x-amz headers in its query.
  const header = (name: string): string | undefined => {
    const value = request.headers[name] ?? (name.startsWith('x-amz-') ? query.get(name) : undefined)
    return Array.isArray(value) ? value.join(',') : value
  }
  const operation = nameOperation(request.method ?? '', key, query, header('x-amz-copy-source') !== undefined)
  const partNumber = query.has('partNumber') ? Number(query.get('partNumber')) : null
  const entry = state.note(operation, key, partNumber)

  const fault = state.faults.find({ operation, key, partNumber }) ?? {}
  if (state.latencyMs || fault.delayMs) await sleep(state.latencyMs + (fault.delayMs ?? 0))
  if (fault.hang === true) return
  if (fault.dropConnection) return dropConnection(request, fault.dropConnection)
  if (fault.abortMultipart) await abortNamed(state, query.get('uploadId') ?? '')
  const answer =
    isError(fault) && !fault.perform
      ? faultAnswer(fault)
      : await answerTo(state, request, { operation, bucketName, key, query, header, entry })
  if (fault.hang === 'after') return
  if (fault.dropReply) return void response.socket?.destroy()
  const final = isError(fault) ? faultAnswer(fault) : answer
  await drain(request)
  if (fault.cutReply) return cutReply(response, final, fault.cutReply)
  await send(request, response, final, new Date(Date.now() + state.clockOffsetMs))
  entry.status = final.status
}

function isError(fault: Fault): boolean {
  return fault.status !== undefined || fault.errorBodyWith200 === true
}

function faultAnswer(fault: Fault): Answer {
  const status = fault.errorBodyWith200 ? 200 : (fault.status ?? 500)
  const code = fault.code ?? codeFor(fault.errorBodyWith200 ? 500 : status)
  const body = errorDocument(code, 'A test injected this error', { RequestId: 'fault' })
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

async function abortNamed(state: StandInState, uploadId: string): Promise<void> {
  const multipart = state.bucket.multiparts.get(uploadId)
  if (multipart) await state.bucket.abort(multipart)
}

async function answerTo(
  state: StandInState,
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
    if (state.unlisted && /^(HeadBucket|ListObjects)/.test(target.operation)) throw denied()
    return await perform(state, request, target)
  } catch (thrown) {
    const s3Error = thrown instanceof S3Error ? thrown : new S3Error('InternalError', String(thrown))
    const error = state.unlisted && s3Error.code === 'NoSuchKey' ? denied() : s3Error
    const requestId = randomBytes(8).toString('hex').toUpperCase()
    const body = error.document(`/${target.bucketName}/${target.key}`, requestId)
    return {
      status: error.status,
      headers: { 'content-type': 'application/xml', 'x-amz-request-id': requestId },
      body,
    }
  }
}

const denied = () => new S3Error('AccessDenied', 'Access Denied')

async function perform(
  state: StandInState,
  request: IncomingMessage,
  target: Parameters<typeof answerTo>[2],
): Promise<Answer> {
  const { operation, key, query, header } = target
  const signed = verifySignature(request, state.keys, new Date(Date.now() + state.clockOffsetMs))
  if (target.bucketName !== state.bucketName) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist')
  const run = operations[operation]
  if (!run)
    throw new S3Error('NotImplemented', 'A header or query you provided implies functionality that is not implemented')

  const isStored = operation === 'PutObject' || operation === 'UploadPart'
  if (isStored && request.headers['content-length'] === undefined && !signed.payload.startsWith('STREAMING-'))
    throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.')
  if (isStored && Number(request.headers['content-length'] ?? 0) > state.limits.maxPartSize)
    throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed object size.')
  const hasChecksum = Object.keys(request.headers).some((name) => /^(content-md5|x-amz-(checksum|trailer))/.test(name))
  if (isStored && state.locked && !hasChecksum)
    throw new S3Error(
      'InvalidRequest',
      'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
    )
  const etagOf = (md5: Buffer | null): string => `"${(md5 ?? randomBytes(16)).toString('hex')}"`
  const call: Call = {
    bucket: state.bucket,
    bucketName: state.bucketName,
    limits: state.limits,
    versioned: state.versioned,
    key,
    query,
    header,
    metadata: metadataOf(request, query),
    encryption: state.md5 ? {} : { 'x-amz-server-side-encryption': 'aws:kms' },
    now: new Date(),
    async store(isPart) {
      const writer = await writeBlob(state.keep, isPart)
      try {
        const take = (chunk: Buffer): void | Promise<void> => {
          target.entry.bytes += chunk.length
          return writer.write(chunk)
        }
        const received = await receive(request, signed, header, { md5: state.md5, take })
        return { ...received, etag: etagOf(state.md5 ? received.md5 : null), blob: await writer.done() }
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
      const writer = await writeBlob(state.keep, part !== undefined)
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

async function cutReply(
  response: ServerResponse,
  { status, headers, body = '' }: Answer,
  { afterBytes, hangs = false }: NonNullable<Fault['cutReply']>,
): Promise<void> {
  response.writeHead(status, headers)
  let remaining = afterBytes
  for await (const chunk of typeof body === 'string' ? [Buffer.from(body)] : body) {
    const slice = chunk.subarray(0, remaining)
    remaining -= slice.length
    // A reset would discard what was written, so the loop waits until it is sent, and the socket is ended instead of reset.
    if (slice.length > 0) await new Promise((resolve) => response.write(slice, resolve))
    if (remaining === 0) break
  }
  if (!hangs) response.socket?.destroySoon()
}

// A response before the end of the body would race with the client's writes; S3, too, reads the whole body.
async function drain(request: IncomingMessage): Promise<void> {
  if (request.readableEnded || request.destroyed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  request.once('end', resolve).once('close', resolve).resume()
  await promise
}

async function send(request: IncomingMessage, response: ServerResponse, answer: Answer, now: Date): Promise<void> {
  if (response.destroyed) return
  const { status, headers = {}, body = '' } = answer
  response.writeHead(status, {
    server: 'stand-in',
    date: now.toUTCString(),
    ...(typeof body === 'string' ? { 'content-length': Buffer.byteLength(body) } : {}),
    ...headers,
  })
  if (request.method === 'HEAD' || status === 304 || typeof body === 'string')
    response.end(request.method === 'HEAD' ? undefined : body)
  else await pipeline(body, response)
}
