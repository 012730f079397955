import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { about, type Finding } from './finding.ts'

const { fine, doubtful, broken } = about('proxy')
const MiB = 1024 ** 2
const patienceMs = 10_000
// A proxy that passes bytes on has done so after this long.
const passedOnMs = 1500
// nginx's own limit is 1 MiB, Cloudflare's 100 MB.
const wishedSizes = [2 * MiB, 101 * MiB, 1100 * MiB]
const line = 'landfall doctor was here\n'

/** What stands between clients and the server does to long bodies and open answers, tried with an upload of our own. */
export async function* probeProxy(
  url: string,
  identity: Record<string, string>,
  sender: { maxSize: number } | null,
): AsyncGenerator<Finding> {
  if (!sender) {
    yield doubtful('no role may send text, so no upload could be tried', 'Try one by hand.')
    return
  }
  const headers = { ...identity, 'tus-resumable': '1.0.0' }
  const size = Math.min(sender.maxSize, Math.max(...wishedSizes))
  const created = await fetch(`${url}/files`, {
    method: 'POST',
    headers: { ...headers, 'upload-length': String(size), 'upload-metadata': `filetype ${btoa('text/plain')}` },
    signal: AbortSignal.timeout(patienceMs),
  })
  const location = created.headers.get('location')
  if (created.status !== 201 || location === null) {
    yield broken(
      `an upload could not be begun: ${created.status}`,
      created.status === 405 ? 'The proxy must let POST pass.' : 'The log of the server says why.',
    )
    return
  }
  const upload = new URL(location, url).href
  yield* lookAtLocation(url, location)
  try {
    yield await passesOnEarly(upload, headers)
    yield await takesLargeBodies(upload, headers, size)
    yield await streamsAnswers(url, identity)
  } finally {
    const gone = await fetch(upload, { method: 'DELETE', headers, signal: AbortSignal.timeout(patienceMs) }).catch(
      () => null,
    )
    if (gone?.status !== 204)
      yield broken(
        `an upload could not be given up: DELETE is answered ${gone ? `with ${gone.status}` : 'not at all'}`,
        'The proxy must let HEAD, PATCH and DELETE pass, as they are.',
      )
  }
}

function* lookAtLocation(url: string, location: string): Generator<Finding> {
  const { href } = new URL(location, url)
  if (href.startsWith(`${url}/`)) return
  yield broken(
    `uploads are said to be at ${new URL(href).origin}, where clients of ${url} may not reach them`,
    `Set PUBLIC_URL to ${url}.`,
  )
}

interface Sent {
  request: ClientRequest
  /** Resolves when an answer comes, `null` when none does. */
  answer: Promise<IncomingMessage | null>
}

/** A PATCH of which only the head, and `bytes`, are sent. */
function beginPatch(upload: string, headers: Record<string, string>, announced: number, offset: number): Sent {
  const { request: open } = upload.startsWith('https:') ? https : http
  const request = open(upload, {
    method: 'PATCH',
    agent: false,
    headers: {
      ...headers,
      'content-type': 'application/offset+octet-stream',
      'content-length': announced,
      'upload-offset': offset,
    },
  })
  const answer = new Promise<IncomingMessage | null>((resolve) => {
    request.once('response', (response) => {
      response.resume()
      resolve(response)
    })
    request.once('error', () => resolve(null))
    request.once('close', () => resolve(null))
  })
  request.flushHeaders()
  return { request, answer }
}

const pause = (ms: number) => new Promise<null>((resolve) => setTimeout(resolve, ms, null))

/** Half a body is sent, and then the server is asked how much of it has come. */
async function passesOnEarly(upload: string, headers: Record<string, string>): Promise<Finding> {
  const half = line.repeat(4000)
  const { request, answer } = beginPatch(upload, headers, half.length * 2, 0)
  request.write(half)
  await Promise.race([answer, pause(passedOnMs)])
  const head = await fetch(upload, { method: 'HEAD', headers, signal: AbortSignal.timeout(patienceMs) }).catch(
    () => null,
  )
  request.destroy()
  const offset = Number(head?.headers.get('upload-offset') ?? 0)
  if (offset > 0) return fine('bytes reach the server as they are sent')
  return broken(
    'bytes reach the server only when all of a request has been sent',
    'The proxy collects bodies, and what it has collected is lost when the connection breaks. nginx: proxy_request_buffering off; proxy_http_version 1.1;',
  )
}

/** nginx and others refuse by Content-Length, before any of the body is sent. */
async function takesLargeBodies(upload: string, headers: Record<string, string>, size: number): Promise<Finding> {
  let taken = 0
  for (const wished of [...wishedSizes.filter((each) => each < size), size]) {
    const head = await fetch(upload, { method: 'HEAD', headers, signal: AbortSignal.timeout(patienceMs) })
    const offset = Number(head.headers.get('upload-offset') ?? 0)
    const { request, answer } = beginPatch(upload, headers, Math.min(wished, size - offset), offset)
    const answered = await Promise.race([answer, pause(passedOnMs)])
    request.destroy()
    if (answered?.statusCode === 413)
      return broken(
        `a request of ${Math.round(wished / MiB)} MiB is refused on the way${taken > 0 ? `, one of ${Math.round(taken / MiB)} MiB is not` : ''}`,
        'The proxy limits bodies. nginx: client_max_body_size 0; where it cannot be changed, clients must send chunks below the limit (chunkSize).',
      )
    taken = wished
  }
  return fine(`a request may bring ${Math.round(taken / MiB)} MiB and more`)
}

/** Live events must come when they happen. */
async function streamsAnswers(url: string, headers: Record<string, string>): Promise<Finding> {
  const stop = new AbortController()
  try {
    const first = (async () => {
      const answer = await fetch(`${url}/v1/events`, { headers, signal: stop.signal })
      const reader = answer.body?.getReader()
      return answer.status === 200 && (await reader?.read())?.done === false
    })().catch(() => false)
    if (await Promise.race([first, pause(3000)])) return fine('answers arrive as they are written')
    return doubtful('live events do not arrive', 'The proxy collects answers. nginx: proxy_buffering off;')
  } finally {
    stop.abort()
  }
}
