import { randomBytes } from 'node:crypto'
import { closeAll, openMany, pause } from './sockets.ts'
import type { Target } from './target.ts'

/** The size of an attack. */
export interface Scale {
  /** Multiplies the numbers of connections and requests. */
  share: number
  /** How long connections are held open. */
  holdMs: number
}

export interface Attack {
  name: string
  run(target: Target, scale: Scale): Promise<void>
}

const MiB = 1024 ** 2

/** Attacks that take a client a few lines of code. Each ends by itself. */
export const attacks: Attack[] = [
  { name: 'pipelined requests without reading', run: pipelining },
  { name: 'pipelined requests on many connections', run: widePipelining },
  { name: 'unread answers', run: unreadAnswers },
  { name: 'connections without a request', run: halfOpen },
  { name: 'endless headers', run: headerFlood },
  { name: 'one-byte bodies of one user', run: trickle },
  { name: 'JSON of 12 MiB of brackets', run: hugeJson },
  { name: 'deep and wide JSON', run: wideJson },
  { name: 'invalid API keys', run: invalidKeys },
  { name: '10,000 creations', run: creations },
  { name: 'a final upload of many partial ones', run: manyPartials },
  { name: 'lists of one user', run: lists },
  { name: 'event streams of one user', run: eventStreams },
  { name: 'forms of many fields', run: manyFields },
]

async function pipelining({ port }: Target, { share, holdMs }: Scale): Promise<void> {
  const sockets = await openMany(port, Math.ceil(20 * share))
  for (const path of ['/docs/json', '/', '/readyz', '/not-there', '/v1/me'])
    for (const socket of sockets) socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(4000))
  await pause(holdMs)
  closeAll(sockets)
}

/** As many requests as one read of a socket returns, on many connections at once. */
async function widePipelining({ port }: Target, { share, holdMs }: Scale): Promise<void> {
  const sockets = await openMany(port, Math.ceil(1000 * share))
  for (const socket of sockets) socket.write('GET /livez HTTP/1.1\r\nHost:a\r\n\r\n'.repeat(2000))
  await pause(holdMs)
  closeAll(sockets)
}

async function unreadAnswers({ port }: Target, { share, holdMs }: Scale): Promise<void> {
  const sockets = await openMany(port, Math.ceil(500 * share))
  for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(50))
  await pause(holdMs)
  closeAll(sockets)
}

async function halfOpen({ port }: Target, { share, holdMs }: Scale): Promise<void> {
  const sockets = await openMany(port, Math.ceil(3000 * share))
  for (const socket of sockets) socket.write('GET / HT')
  await pause(holdMs)
  closeAll(sockets)
}

async function headerFlood({ port }: Target, { share, holdMs }: Scale): Promise<void> {
  const sockets = await openMany(port, Math.ceil(200 * share))
  const until = performance.now() + holdMs
  for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: a\r\n')
  while (performance.now() < until) {
    for (const socket of sockets) if (socket.writable) socket.write(`X-${'a'.repeat(500)}: ${'b'.repeat(500)}\r\n`)
    await pause(20)
  }
  closeAll(sockets)
}

async function trickle(target: Target, { share, holdMs }: Scale): Promise<void> {
  const authorization = await target.authorizationOf('trickler')
  const id = await init(target, authorization, 64 * MiB)
  const sockets = await openMany(target.port, Math.ceil(3000 * share))
  for (const socket of sockets)
    socket.write(
      `PUT /v1/uploads/${id}/chunk HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nX-Chunk-Index: 0\r\nContent-Length: ${MiB}\r\n\r\nx`,
    )
  await pause(holdMs)
  closeAll(sockets)
}

async function hugeJson(target: Target, { share, holdMs }: Scale): Promise<void> {
  const authorization = await target.authorizationOf('brackets')
  const id = await init(target, authorization, 64 * MiB)
  const sockets = await openMany(target.port, Math.ceil(20 * share))
  const body = Buffer.alloc(12 * MiB, '[')
  for (const [at, socket] of sockets.entries()) {
    const path =
      at % 2 === 0 ? `/v1/uploads/${id}/complete` : '/v1/uploads/00000000-0000-4000-8000-000000000000/complete'
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\n`
    socket.write(
      at % 4 < 2 ? `${head}Content-Length: ${body.length}\r\n\r\n` : `${head}Transfer-Encoding: chunked\r\n\r\n`,
    )
    socket.write(at % 4 < 2 ? body : Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body]))
  }
  await pause(holdMs)
  closeAll(sockets)
}

async function wideJson(target: Target, { share }: Scale): Promise<void> {
  const authorization = await target.authorizationOf('wide')
  const bodies = [
    `${'['.repeat(30_000)}`,
    `${'{"a":'.repeat(10_000)}`,
    `{${Array.from({ length: 5000 }, (_, n) => `"k${n}":1`).join(',')}}`,
    `{"file_name":"${'\\u0061'.repeat(10_000)}","total_size":1}`,
  ]
  await repeat(Math.ceil(1000 * share), 20, (n) =>
    ask(
      target,
      'POST',
      '/v1/uploads/init',
      authorization,
      { 'content-type': 'application/json' },
      bodies[n % bodies.length],
    ),
  )
}

async function invalidKeys(target: Target, { share }: Scale): Promise<void> {
  await repeat(Math.ceil(3000 * share), 20, () =>
    ask(target, 'GET', '/v1/me', `Bearer lf_${randomBytes(40).toString('base64url')}`),
  )
}

async function creations(target: Target, { share }: Scale): Promise<void> {
  const authorization = await target.authorizationOf('creator of many')
  await repeat(Math.ceil(10_000 * share), 20, () =>
    ask(target, 'POST', '/files', authorization, { 'tus-resumable': '1.0.0', 'upload-length': '1000' }),
  )
}

async function manyPartials(target: Target, { share }: Scale): Promise<void> {
  const authorization = await target.authorizationOf('concatenator')
  const tus = { 'tus-resumable': '1.0.0' }
  const urls: string[] = []
  await repeat(Math.ceil(150 * share), 10, async () => {
    const headers = { ...tus, 'upload-length': '1000', 'upload-concat': 'partial' }
    const location = (await ask(target, 'POST', '/files', authorization, headers))?.headers.get('location')
    if (location) urls.push(location)
  })
  if (urls.length === 0) return
  const final = { ...tus, 'upload-concat': `final;${urls.join(' ')}` }
  const location = (await ask(target, 'POST', '/files', authorization, final))?.headers.get('location')
  if (location) await repeat(Math.ceil(200 * share), 10, () => ask(target, 'HEAD', location, authorization, tus))
}

async function lists(target: Target, { share }: Scale): Promise<void> {
  const authorization = await target.authorizationOf('lister')
  await repeat(Math.ceil(20_000 * share), 500, () => ask(target, 'GET', '/v1/uploads?limit=100', authorization))
}

async function eventStreams(target: Target, { share, holdMs }: Scale): Promise<void> {
  const authorization = await target.authorizationOf('listener')
  const sockets = await openMany(target.port, Math.ceil(2000 * share))
  for (const socket of sockets)
    socket.write(`GET /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nLast-Event-ID: 0\r\n\r\n`)
  await pause(holdMs)
  closeAll(sockets)
}

async function manyFields(target: Target, { share, holdMs }: Scale): Promise<void> {
  const authorization = await target.authorizationOf('form filler')
  const sockets = await openMany(target.port, Math.ceil(500 * share))
  const fields = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'.repeat(1000)
  for (const socket of sockets)
    socket.write(
      `POST /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${64 * MiB}\r\n\r\n${fields}`,
    )
  await pause(holdMs)
  closeAll(sockets)
}

async function init(target: Target, authorization: string, size: number): Promise<string> {
  const body = JSON.stringify({ file_name: 'a.bin', total_size: size })
  const answer = await fetch(`${target.url}/v1/uploads/init`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body,
  })
  return ((await answer.json()) as { upload_id: string }).upload_id
}

/** Sends a request and discards the body of its answer; `null` when the connection was closed. */
async function ask(
  { url }: Target,
  method: string,
  path: string,
  authorization: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<Response | null> {
  try {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { ...headers, authorization },
      ...(body !== undefined && { body }),
    })
    await answer.arrayBuffer()
    return answer
  } catch {
    return null
  }
}

/** Runs `work` `times` times, `concurrency` of them concurrently. */
async function repeat(times: number, concurrency: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next < times) await work(next++)
    }),
  )
}
