import type { Config } from '../../config.ts'
import { about, type Finding } from '../../stores/finding.ts'
import { after, open, type Sender, timeoutMs } from './exchange.ts'
import { probeRufh } from './rufh.ts'

const report = about('proxy')
const MiB = 1024 ** 2
// A proxy that streams a body has usually forwarded its first bytes after the first of these times, and certainly after the last.
const forwardedMs = [100, 400, 1500]
// nginx's own limit is 1 MiB, Cloudflare's 100 MB.
const testedSizes = [2 * MiB, 101 * MiB, 1100 * MiB]
const line = 'landfall doctor was here\n'

/**
 * Tests what a proxy between clients and the server does to uploads, with uploads of its own through the public URL. Ends at the first
 * error that would make every later check fail too.
 */
export async function* probeProxy(url: string, sender: Sender, config: Config): AsyncGenerator<Finding> {
  const headers = { ...sender.headers, 'tus-resumable': '1.0.0' }
  const size = Math.min(sender.maxSize, Math.max(...testedSizes))
  const created = await fetch(`${url}/files`, {
    method: 'POST',
    headers: { ...headers, 'upload-length': String(size), 'upload-metadata': `filetype ${btoa('text/plain')}` },
    signal: AbortSignal.timeout(timeoutMs),
  })
  const location = created.headers.get('location')
  if (created.status !== 201 || location === null) {
    yield report.error(
      `cannot create an upload: POST ${url}/files is answered with ${created.status}`,
      created.status === 405 ? 'Let the proxy forward POST.' : 'The log of the server has the reason.',
    )
    return
  }
  const upload = new URL(location, `${url}/files`).href
  if (!upload.startsWith(`${url}/`)) {
    yield report.error(
      `Location points to uploads at ${new URL(upload).origin}, which clients of ${url} may not reach`,
      `Set PUBLIC_URL to ${url}.`,
    )
    // The doctor cancels its upload through the public URL, by the path of the upload.
    await fetch(url + new URL(upload).pathname, { method: 'DELETE', headers }).catch(() => null)
    return
  }
  try {
    yield* bodies(upload, headers, size)
    yield* probeRufh(url, sender, config)
    yield await streamsResponses(url, sender.headers)
  } finally {
    const cancelled = await fetch(upload, { method: 'DELETE', headers, signal: AbortSignal.timeout(timeoutMs) }).catch(
      () => null,
    )
    if (cancelled?.status !== 204)
      yield report.error(
        `cannot cancel an upload: DELETE is ${cancelled ? `answered with ${cancelled.status}` : 'not answered'}`,
        'Let the proxy forward HEAD, PATCH and DELETE unchanged.',
      )
  }
}

const patchHeaders = (headers: Record<string, string>, offset: number) => ({
  ...headers,
  'content-type': 'application/offset+octet-stream',
  'upload-offset': offset,
})

async function offsetOf(upload: string, headers: Record<string, string>): Promise<number> {
  const head = await fetch(upload, { method: 'HEAD', headers, signal: AbortSignal.timeout(timeoutMs) }).catch(
    () => null,
  )
  return Number(head?.headers.get('upload-offset') ?? 0)
}

/** Tests whether request bodies are forwarded while they are sent, with a length and chunked, and at any size. */
async function* bodies(upload: string, headers: Record<string, string>, size: number): AsyncGenerator<Finding> {
  const half = line.repeat(4000)
  const sized = await forwards(upload, headers, { bytes: half, length: half.length * 2 })
  if (!sized.isForwarded) {
    yield report.error(
      'bytes reach the server only when the whole request has been sent',
      'The proxy buffers request bodies, and loses buffered bytes when the connection breaks. docs/proxies.md has the settings of each proxy. nginx: proxy_request_buffering off; proxy_http_version 1.1;',
    )
  } else {
    const chunked = await forwards(upload, headers, { bytes: half, length: null })
    if (chunked.isForwarded) yield report.ok('bytes reach the server as they are sent, with a length and chunked')
    else if (chunked.status === 411 || chunked.status === 501)
      yield report.warning(
        `chunked bodies (Transfer-Encoding: chunked) are refused with ${chunked.status}`,
        'Clients that do not know the length in advance (streams, tus-java-client) fail: let the proxy forward chunked bodies.',
      )
    else
      yield report.error(
        'chunked bodies (Transfer-Encoding: chunked) reach the server only when the whole request has been sent',
        'The proxy talks HTTP/1.0 to the server, or buffers chunked bodies. nginx: proxy_http_version 1.1; proxy_request_buffering off;',
      )
  }
  yield await acceptsLargeBodies(upload, headers, size)
}

interface Beginning {
  /** The first bytes of the body; the others are not sent. */
  bytes: string
  /** The length that the request announces; `null` for a chunked body. */
  length: number | null
}

/**
 * Sends the beginning of a body, then reads the offset from the server. Reading it ends the request, so a later look at the same request
 * is impossible, and bytes that had not arrived yet are sent once more in a request that is given longer.
 */
async function forwards(
  upload: string,
  headers: Record<string, string>,
  { bytes, length }: Beginning,
): Promise<{ isForwarded: boolean; status: number | null }> {
  let status: number | null = null
  for (const waitMs of forwardedMs) {
    const before = await offsetOf(upload, headers)
    const { request, response } = open(upload, 'PATCH', {
      ...patchHeaders(headers, before),
      ...(length !== null && { 'content-length': length }),
    })
    request.write(bytes)
    const answered = await Promise.race([response, after(waitMs)])
    // HEAD makes the server stop the request in progress and save the bytes that arrived.
    const offset = await offsetOf(upload, headers)
    request.destroy()
    status = answered?.statusCode ?? null
    if (offset > before || status !== null) return { isForwarded: offset > before, status }
  }
  return { isForwarded: false, status }
}

/**
 * Tests the largest body: nginx and others refuse by Content-Length, before the body is sent. A proxy that has forwarded the first bytes, or
 * has not answered, accepts the request.
 */
async function acceptsLargeBodies(upload: string, headers: Record<string, string>, size: number): Promise<Finding> {
  let accepted = 0
  for (const tested of [...testedSizes.filter((each) => each < size), size]) {
    const length = Math.min(tested, size - (await offsetOf(upload, headers)))
    const { status } = await forwards(upload, headers, { bytes: line, length })
    if (status === 413)
      return report.error(
        `a request of ${Math.round(tested / MiB)} MiB is refused by the proxy${accepted > 0 ? `, one of ${Math.round(accepted / MiB)} MiB is not` : ''}`,
        'nginx: client_max_body_size 0; if the limit cannot be changed, have clients send chunks below it (chunkSize).',
      )
    accepted = tested
  }
  return report.ok(`the proxy accepts requests of ${Math.round(accepted / MiB)} MiB and more`)
}

/** Tests whether live events arrive as they are sent. */
async function streamsResponses(url: string, headers: Record<string, string>): Promise<Finding> {
  const stop = new AbortController()
  try {
    const first = (async () => {
      const response = await fetch(`${url}/v1/events`, { headers, signal: stop.signal })
      const reader = response.body?.getReader()
      return response.status === 200 && (await reader?.read())?.done === false
    })().catch(() => false)
    if (await Promise.race([first, after(3000)])) return report.ok('responses arrive as they are written')
    return report.warning('live events do not arrive', 'The proxy buffers responses. nginx: proxy_buffering off;')
  } finally {
    stop.abort()
  }
}
