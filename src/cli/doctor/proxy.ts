import type { Config } from '../../config.ts'
import { after, open, patienceMs, type Sender } from './exchange.ts'
import { about, type Finding } from './finding.ts'
import { probeRufh } from './rufh.ts'

const report = about('proxy')
const MiB = 1024 ** 2
// A proxy that streams a body has passed its first bytes on after this long.
const passedOnMs = 1500
// nginx's own limit is 1 MiB, Cloudflare's 100 MB.
const testedSizes = [2 * MiB, 101 * MiB, 1100 * MiB]
const line = 'landfall doctor was here\n'

/**
 * What stands between clients and the server does to uploads, tried with uploads of our own through the public address. Ends at
 * the first error that would make every later check fail too.
 */
export async function* probeProxy(url: string, sender: Sender, config: Config): AsyncGenerator<Finding> {
  const headers = { ...sender.headers, 'tus-resumable': '1.0.0' }
  const size = Math.min(sender.maxSize, Math.max(...testedSizes))
  const created = await fetch(`${url}/files`, {
    method: 'POST',
    headers: { ...headers, 'upload-length': String(size), 'upload-metadata': `filetype ${btoa('text/plain')}` },
    signal: AbortSignal.timeout(patienceMs),
  })
  const location = created.headers.get('location')
  if (created.status !== 201 || location === null) {
    yield report.error(
      `an upload could not be created: POST ${url}/files is answered with ${created.status}`,
      created.status === 405 ? 'Let the proxy pass POST on.' : 'The log of the server has the reason.',
    )
    return
  }
  const upload = new URL(location, `${url}/files`).href
  if (!upload.startsWith(`${url}/`)) {
    yield report.error(
      `Location says that uploads are at ${new URL(upload).origin}, where clients of ${url} may not reach them`,
      `Set PUBLIC_URL to ${url}.`,
    )
    // The upload is reached through its path: what the doctor made, it removes.
    await fetch(url + new URL(upload).pathname, { method: 'DELETE', headers }).catch(() => null)
    return
  }
  try {
    yield* bodies(upload, headers, size)
    yield* probeRufh(url, sender, config)
    yield await streamsResponses(url, sender.headers)
  } finally {
    const gone = await fetch(upload, { method: 'DELETE', headers, signal: AbortSignal.timeout(patienceMs) }).catch(
      () => null,
    )
    if (gone?.status !== 204)
      yield report.error(
        `an upload could not be cancelled: DELETE is ${gone ? `answered with ${gone.status}` : 'not answered'}`,
        'Let the proxy pass HEAD, PATCH and DELETE on, unchanged.',
      )
  }
}

const patchHeaders = (headers: Record<string, string>, offset: number) => ({
  ...headers,
  'content-type': 'application/offset+octet-stream',
  'upload-offset': offset,
})

async function offsetOf(upload: string, headers: Record<string, string>): Promise<number> {
  const head = await fetch(upload, { method: 'HEAD', headers, signal: AbortSignal.timeout(patienceMs) }).catch(
    () => null,
  )
  return Number(head?.headers.get('upload-offset') ?? 0)
}

/** Request bodies: passed on while they come, with a length and in chunks, and of any size. */
async function* bodies(upload: string, headers: Record<string, string>, size: number): AsyncGenerator<Finding> {
  const half = line.repeat(4000)
  const sized = await passesOn(upload, headers, { half, length: half.length * 2 })
  if (!sized.passed) {
    yield report.error(
      'bytes reach the server only when the whole request has been sent',
      'The proxy buffers request bodies, and loses what it holds when the connection breaks. docs/proxies.md has the lines for each proxy. nginx: proxy_request_buffering off; proxy_http_version 1.1;',
    )
  } else {
    const chunked = await passesOn(upload, headers, { half, length: null })
    if (chunked.passed) yield report.ok('bytes reach the server as they are sent, with a length and in chunks')
    else if (chunked.status === 411 || chunked.status === 501)
      yield report.warning(
        `bodies sent in chunks (Transfer-Encoding: chunked) are refused with ${chunked.status}`,
        'Clients that do not know the length beforehand (streams, tus-java-client) fail: let the proxy pass chunked bodies on.',
      )
    else
      yield report.error(
        'bodies sent in chunks (Transfer-Encoding: chunked) reach the server only when the whole request has been sent',
        'The proxy talks HTTP/1.0 to the server, or buffers chunked bodies. nginx: proxy_http_version 1.1; proxy_request_buffering off;',
      )
  }
  yield await takesLargeBodies(upload, headers, size)
}

/** Sends half a body, then asks the server how much of it has come. */
async function passesOn(
  upload: string,
  headers: Record<string, string>,
  { half, length }: { half: string; length: number | null },
): Promise<{ passed: boolean; status: number | null }> {
  const before = await offsetOf(upload, headers)
  const { request, response } = open(upload, 'PATCH', {
    ...patchHeaders(headers, before),
    ...(length !== null && { 'content-length': length }),
  })
  request.write(half)
  const answered = await Promise.race([response, after(passedOnMs)])
  // HEAD asks the request in progress to stop, and the server saves what has come.
  const offset = await offsetOf(upload, headers)
  request.destroy()
  return { passed: offset > before, status: answered?.statusCode ?? null }
}

/** nginx and others refuse by Content-Length, before any of the body is sent. */
async function takesLargeBodies(upload: string, headers: Record<string, string>, size: number): Promise<Finding> {
  let taken = 0
  for (const tested of [...testedSizes.filter((each) => each < size), size]) {
    const offset = await offsetOf(upload, headers)
    const { request, response } = open(upload, 'PATCH', {
      ...patchHeaders(headers, offset),
      'content-length': Math.min(tested, size - offset),
    })
    const answered = await Promise.race([response, after(passedOnMs)])
    request.destroy()
    if (answered?.statusCode === 413)
      return report.error(
        `a request of ${Math.round(tested / MiB)} MiB is refused by the proxy${taken > 0 ? `, one of ${Math.round(taken / MiB)} MiB is not` : ''}`,
        'nginx: client_max_body_size 0; where the limit cannot be changed, have clients send chunks below it (chunkSize).',
      )
    taken = tested
  }
  return report.ok(`a request may bring ${Math.round(taken / MiB)} MiB and more`)
}

/** Live events must come when they happen. */
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
