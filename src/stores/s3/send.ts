/*
 * The way by which bytes go to S3: PutObject and UploadPart, the two requests that carry a body and whose cost is the
 * server's cost. The chunks of a part go to a kept-alive socket as they are, a megabyte a write, without being joined,
 * copied, hashed or framed: UNSIGNED-PAYLOAD with a known Content-Length. Everything else goes through the SDK.
 */
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import aws4 from 'aws4'
import type { Bytes } from '../../core/ports.ts'
import { S3Error } from './errors.ts'
import { createServerClock } from './server-clock.ts'

export interface Credentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string | undefined
}

export interface SenderOptions {
  /** Scheme, host and port, and the bucket's path if it is in the path. */
  base: URL
  region: string
  credentials(): Promise<Credentials>
  /** Connections at most. */
  sockets: number
  /** Told of every attempt: `OK`, or the code of its fault. */
  onRequest(operation: string, code: string): void
}

export interface PutRequest {
  operation: string
  /** The object key, unescaped. */
  key: string
  query?: string
  headers?: Record<string, string>
}

export interface Sender {
  /**
   * Sends `bytes` with PUT, again where that may help.
   * @returns the ETag without quotes, and how many attempts it took
   * @throws S3Error
   */
  put(bytes: Bytes, sending: PutRequest): Promise<{ etag: string; attempts: number }>
  close(): void
}

const batch = 1024 ** 2
const attempts = 5
// S3 closes idle bodies after about 20 seconds; an answer may take longer than a byte.
const idleMs = 45_000
const connectMs = 5000

/** A sender with its own connections. */
export function createSender({ base, region, credentials, sockets, onRequest }: SenderOptions): Sender {
  const isTls = base.protocol === 'https:'
  const agent = new (isTls ? https : http).Agent({
    keepAlive: true,
    maxSockets: sockets,
    keepAliveMsecs: 10_000,
    scheduling: 'lifo',
  })
  const request = isTls ? https.request : http.request
  const clock = createServerClock()

  async function putOnce(bytes: Bytes, { operation, key, query, headers }: PutRequest): Promise<string> {
    const path = `${base.pathname.replace(/\/$/, '')}/${escapeKey(key)}${query ? `?${query}` : ''}`
    const signedAt = clock.now()
    const signed = aws4.sign(
      {
        host: base.host,
        path,
        method: 'PUT',
        service: 's3',
        region,
        headers: {
          ...headers,
          'Content-Length': String(bytes.size),
          'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD',
          'X-Amz-Date': signedAt.toISOString().replace(/[:-]|\.\d{3}/g, ''),
        },
      },
      cachedCredentials(await credentials()),
    )
    const outgoing = request({
      hostname: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port || (isTls ? 443 : 80),
      path,
      method: 'PUT',
      headers: signed.headers as http.OutgoingHttpHeaders,
      agent,
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve)
      outgoing.once('error', reject)
      outgoing.setTimeout(idleMs, () => outgoing.destroy(new Error('nothing moved for too long')))
      // That counts from when there is a connection.
      outgoing.once('socket', (socket) => {
        if (!socket.connecting) return
        const timer = setTimeout(() => outgoing.destroy(new Error('connecting took too long')), connectMs)
        for (const end of ['connect', 'close']) socket.once(end, () => clearTimeout(timer))
      })
    })
    const sent = untilSent(outgoing)
    try {
      // An answer may come before the last byte: a refusal. Whichever ends first decides.
      answered.catch(() => {})
      await Promise.race([writeAll(outgoing, bytes), answered])
      const response = await answered
      const text = await readText(response)
      if (response.statusCode === 200) {
        await sent
        // Whoever answers so (a proxy, a portal) has stored nothing: parts are joined by their ETags.
        if (!response.headers.etag) throw new S3Error(operation, 0, 'NoETag')
        return response.headers.etag.replaceAll('"', '')
      }
      throw new S3Error(operation, response.statusCode ?? 0, /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? 'unknown', {
        ...detailOf(text),
        retryAfterMs: Number(response.headers['retry-after'] ?? 0) * 1000 || 0,
        // Whatever the server calls it, a signature of another time is the reason.
        isOtherTime: clock.correct(signedAt, response.headers.date),
      })
    } catch (error) {
      outgoing.destroy()
      if (error instanceof S3Error) throw error
      // Bytes that come from the store itself (a part joined of pieces) may fail with a fault of their own.
      if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code === undefined) {
        if (!/hang up|too long|aborted/.test(String(error))) throw error
      }
      throw new S3Error(operation, 0, (error as NodeJS.ErrnoException).code ?? 'timeout', { cause: error })
    }
  }

  return {
    async put(bytes, sending) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          const etag = await putOnce(bytes, sending)
          onRequest(sending.operation, 'OK')
          return { etag, attempts: attempt }
        } catch (error) {
          onRequest(sending.operation, error instanceof S3Error ? error.code : 'unknown')
          if (!(error instanceof S3Error) || !error.isTransient || attempt === attempts) throw error
          // The next one is signed with the server's time.
          if (error.isOtherTime) continue
          await pause(attempt, error.retryAfterMs)
        }
      }
    },
    close: () => agent.destroy(),
  }
}

/** aws4 takes an absent session token, but no `undefined` one. */
function cachedCredentials({ accessKeyId, secretAccessKey, sessionToken }: Credentials) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

/** Full jitter: clients that failed together do not come back together. */
export function pause(attempt: number, leastMs = 0): Promise<void> {
  const most = Math.min(4000, 100 * 2 ** attempt)
  return new Promise((resolve) => setTimeout(resolve, Math.min(10_000, leastMs) + Math.random() * most))
}

async function writeAll(outgoing: http.ClientRequest, bytes: Bytes): Promise<void> {
  let corked = 0
  let left = bytes.size
  const write = (chunk: Buffer): Promise<void> | undefined => {
    left -= chunk.length
    // Node would send them all the same, as the beginning of the next request.
    if (left < 0) throw otherBytes()
    if (corked === 0) outgoing.cork()
    corked += chunk.length
    if (corked < batch) return void outgoing.write(chunk)
    const flushed = writeOut(outgoing, chunk)
    outgoing.uncork()
    corked = 0
    return flushed
  }
  const chunks = bytes.chunks()
  if (Symbol.asyncIterator in chunks) for await (const chunk of chunks) await write(chunk)
  else for (const chunk of chunks) await write(chunk)
  // The server would wait for the rest until it gives up.
  if (left > 0) throw otherBytes()
  if (corked > 0) outgoing.uncork()
  outgoing.end()
}

function otherBytes(): Error {
  return new Error('the bytes of a part did not come as they were announced')
}

/**
 * Resolves when `chunk` and all before it are with the operating system. Node tells of `drain` only until an answer has come,
 * and that can be before the last bytes have left; of what became of a write it tells always.
 */
function writeOut(outgoing: http.ClientRequest, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error('aborted'))
    outgoing.once('close', gone)
    outgoing.write(chunk, (error) => {
      outgoing.off('close', gone)
      if (error) reject(error)
      else resolve()
    })
  })
}

/**
 * Resolves when nothing reads the body any more. The answer can be here before: TLS learns later than the other end that the
 * last bytes are out, and of a server that answers before it has everything nothing is believed. To be asked before the first
 * byte: `writableFinished` looks at the socket, and that may carry the next request already.
 */
function untilSent(outgoing: http.ClientRequest): Promise<void> {
  const sent = new Promise<void>((resolve, reject) => {
    outgoing.once('finish', resolve)
    outgoing.once('error', reject)
    outgoing.once('close', () => reject(new Error('aborted')))
  })
  // Whoever was answered with a refusal never asks.
  sent.catch(() => {})
  return sent
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const part of response) if (text.length < 65_536) text += part
  return text
}

/** RFC 3986, with the slashes left: what SigV4 wants for S3. */
export function escapeKey(key: string): string {
  return key
    .split('/')
    .map((segment) =>
      encodeURIComponent(segment).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    .join('/')
}

/** The S3 server's own sentence about an error; bounded, because it goes into logs. */
function detailOf(document: string): { detail?: string } {
  const detail = /<Message>([^<]*)<\/Message>/.exec(document)?.[1]
  return detail ? { detail: detail.slice(0, 300) } : {}
}
