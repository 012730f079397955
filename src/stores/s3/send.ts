/*
 * Sends PutObject and UploadPart, the two requests with the bytes of files, which dominate the cost of the server. The chunks of a part
 * are written to a keep-alive socket unchanged, a megabyte a write, without being joined, copied, hashed or framed: UNSIGNED-PAYLOAD
 * with a known Content-Length. All other requests go through the SDK.
 */
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import aws4 from 'aws4'
import type { Bytes } from '../../core/ports/object-store.ts'
import { shareConnections } from './connections.ts'
import { S3Error } from './errors.ts'
import { createServerClock } from './server-clock.ts'

export interface Credentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string | undefined
}

export interface SenderOptions {
  /** Scheme, host and port, with the bucket as path in path style. */
  base: URL
  region: string
  credentials(): Promise<Credentials>
  /** The most connections. */
  sockets: number
  /** Called for every attempt with `OK` or the code of its error. */
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
   * Sends `bytes` with PUT, and retries transient errors.
   * @returns the ETag without quotes, and how many attempts it took
   * @throws S3Error
   */
  put(bytes: Bytes, sending: PutRequest): Promise<{ etag: string; attempts: number }>
  close(): void
}

const batch = 1024 ** 2
const attempts = 5
// S3 closes a connection whose body stalls for about 20 seconds; the response to a complete body may take longer.
const idleMs = 45_000
const connectMs = 5000

/** A sender with a connection pool of its own. */
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
  const onConnection = shareConnections(sockets)

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
      credentialsForAws4(await credentials()),
    )
    const outgoing = request({
      hostname: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port || (isTls ? 443 : 80),
      path,
      method: 'PUT',
      headers: signed.headers as http.OutgoingHttpHeaders,
      agent,
    })
    const responded = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve)
      outgoing.once('error', reject)
      outgoing.setTimeout(idleMs, () => outgoing.destroy(new Error('no progress for too long')))
      // `setTimeout` counts from the connection on, so connecting has a timeout of its own.
      outgoing.once('socket', (socket) => {
        if (!socket.connecting) return
        const timer = setTimeout(() => outgoing.destroy(new Error('connecting took too long')), connectMs)
        for (const end of ['connect', 'close']) socket.once(end, () => clearTimeout(timer))
      })
    })
    const sent = untilSent(outgoing)
    try {
      // An error response may arrive before the last byte is written: whichever comes first decides.
      responded.catch(() => {})
      await Promise.race([writeAll(outgoing, bytes), responded])
      const response = await responded
      const text = await readText(response)
      if (response.statusCode === 200) {
        await sent
        // A 200 without an ETag comes from a proxy or captive portal, which has stored nothing.
        if (!response.headers.etag) throw new S3Error(operation, 0, 'NoETag')
        return response.headers.etag.replaceAll('"', '')
      }
      throw new S3Error(operation, response.statusCode ?? 0, /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? 'unknown', {
        ...detailOf(text),
        retryAfterMs: Number(response.headers['retry-after'] ?? 0) * 1000 || 0,
        // Servers have different codes for a signature with a wrong time, so the `Date` header decides.
        isOtherTime: clock.correct(signedAt, response.headers.date),
      })
    } catch (error) {
      outgoing.destroy()
      if (error instanceof S3Error) throw error
      // The source of the bytes may fail, too: for a part made of tail objects it reads from the store.
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
          const etag = await onConnection(sending.operation, () => putOnce(bytes, sending))
          onRequest(sending.operation, 'OK')
          return { etag, attempts: attempt }
        } catch (error) {
          onRequest(sending.operation, error instanceof S3Error ? error.code : 'unknown')
          if (!(error instanceof S3Error) || !error.isTransient || attempt === attempts) throw error
          // The next attempt is signed with the server's time and needs no pause.
          if (error.isOtherTime) continue
          await pause(attempt, error.retryAfterMs)
        }
      }
    },
    close: () => agent.destroy(),
  }
}

/** Credentials for aws4, which does not accept `undefined` as session token. */
export function credentialsForAws4({ accessKeyId, secretAccessKey, sessionToken }: Credentials) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

/** Waits with full jitter, so that requests that failed together are not retried together. */
export function pause(attempt: number, leastMs = 0): Promise<void> {
  const maxMs = Math.min(4000, 100 * 2 ** attempt)
  return new Promise((resolve) => setTimeout(resolve, Math.min(10_000, leastMs) + Math.random() * maxMs))
}

async function writeAll(outgoing: http.ClientRequest, bytes: Bytes): Promise<void> {
  let corked = 0
  let remaining = bytes.size
  const write = (chunk: Buffer): Promise<void> | undefined => {
    remaining -= chunk.length
    // Node would send excess bytes, as the beginning of the next request.
    if (remaining < 0) throw wrongSize()
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
  // With missing bytes the server would wait until its timeout.
  if (remaining > 0) throw wrongSize()
  if (corked > 0) outgoing.uncork()
  outgoing.end()
}

function wrongSize(): Error {
  return new Error('a part has more or fewer bytes than its size')
}

/**
 * Resolves when `chunk` and everything before it are with the operating system. It uses the callback of `write`, because Node emits
 * `drain` only until the response arrives, which may be before the last bytes have left.
 */
function writeOut(outgoing: http.ClientRequest, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('aborted'))
    outgoing.once('close', onClose)
    outgoing.write(chunk, (error) => {
      outgoing.off('close', onClose)
      if (error) reject(error)
      else resolve()
    })
  })
}

/**
 * Resolves when the body was sent completely, so that nothing reads its buffers any more. The response may arrive earlier: TLS reports
 * the last write after the server has received it, and a server that responds before it has the whole body is not trusted. Call it
 * before the first byte: `writableFinished` reads the state of the socket, which may already carry the next request.
 */
function untilSent(outgoing: http.ClientRequest): Promise<void> {
  const sent = new Promise<void>((resolve, reject) => {
    outgoing.once('finish', resolve)
    outgoing.once('error', reject)
    outgoing.once('close', () => reject(new Error('aborted')))
  })
  // After an error response the caller does not await it.
  sent.catch(() => {})
  return sent
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const part of response) if (text.length < 65_536) text += part
  return text
}

/** Escapes a key by RFC 3986 except for slashes, as SigV4 requires for S3. */
export function escapeKey(key: string): string {
  return key
    .split('/')
    .map((segment) =>
      encodeURIComponent(segment).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    .join('/')
}

/** The S3 server's message about an error, cut to 300 characters for the log. */
function detailOf(document: string): { detail?: string } {
  const detail = /<Message>([^<]*)<\/Message>/.exec(document)?.[1]
  return detail ? { detail: detail.slice(0, 300) } : {}
}
