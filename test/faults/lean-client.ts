import { type RandomFile, randomFile } from '../support/random-file.ts'
import type { Seeded } from '../support/seeded.ts'
import { headersOf } from '../support/tus-file.ts'

/** What a client saw of one upload. */
export interface Sent {
  file: RandomFile
  id: string
  /** How often it was told that an upload was gone and had to begin anew. */
  restarts: number
  /** Promises that were broken, in words. */
  violations: string[]
}

const giveUpMs = 240_000

/**
 * Sends a file of random length in random chunks to nodes chosen at random, does what a tus client does when something
 * goes wrong, and remembers every offset it was told: one that goes back is a violation.
 */
export async function sendThroughStorm(
  urls: () => string,
  random: Seeded,
  sizes: number[],
  chunks: number[],
): Promise<Sent> {
  const file = randomFile(random.seed, random.pick(sizes) + random.int(0, 3))
  const isDeferred = random.chance(0.2) && file.size > 0
  const sent: Sent = { file, id: '', restarts: 0, violations: [] }
  const until = performance.now() + giveUpMs
  let path: string | null = null
  let acknowledged = 0

  while (performance.now() < until) {
    try {
      if (path === null) {
        path = await create()
        acknowledged = 0
        continue
      }
      const offset = await offsetOf(path)
      if (offset === 'whole') return sent
      if (offset === 'gone') {
        sent.restarts += 1
        path = null
      } else if (offset !== null) {
        await append(path, offset)
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, random.int(50, 400)))
    }
  }
  sent.violations.push(
    `${sent.id} did not arrive within ${giveUpMs / 1000} s, and is at byte ${acknowledged} of ${file.size}`,
  )
  return sent

  async function ask(method: string, to: string, headers: Record<string, string>, body?: Uint8Array | ReadableStream) {
    return fetch(urls() + to, {
      method,
      headers: { 'tus-resumable': '1.0.0', ...(await headersOf()), ...headers },
      signal: AbortSignal.timeout(30_000),
      ...(body ? { body: body as never, duplex: 'half' } : {}),
    } as RequestInit)
  }

  async function create(): Promise<string | null> {
    const length: Record<string, string> = isDeferred
      ? { 'upload-defer-length': '1' }
      : { 'upload-length': String(file.size) }
    const response = await ask('POST', '/files', length)
    if (response.status !== 201) throw new Error(`creation: ${response.status}`)
    const location = response.headers.get('location')!
    sent.id = location.split('/').at(-1)!
    return location
  }

  async function offsetOf(to: string): Promise<number | 'whole' | 'gone' | null> {
    const response = await ask('HEAD', to, {})
    if (response.status === 404 || response.status === 410) return 'gone'
    if (response.status !== 200) throw new Error(`head: ${response.status}`)
    return heard(Number(response.headers.get('upload-offset')), response.headers.get('upload-length'))
  }

  function heard(offset: number, length: string | null): number | 'whole' {
    if (offset < acknowledged) sent.violations.push(`${sent.id} went back from byte ${acknowledged} to ${offset}`)
    acknowledged = Math.max(acknowledged, offset)
    return length !== null && offset === Number(length) ? 'whole' : offset
  }

  async function append(to: string, offset: number): Promise<void> {
    const end = Math.min(file.size, offset + random.pick(chunks))
    const isEnd = end === file.size
    const headers = {
      'content-type': 'application/offset+octet-stream',
      'upload-offset': String(offset),
      ...(isDeferred && isEnd ? { 'upload-length': String(file.size) } : {}),
    }
    const response = await ask(
      'PATCH',
      to,
      headers,
      random.chance(0.15) ? broken(offset, end) : file.slice(offset, end),
    )
    if (response.status !== 204) throw new Error(`patch: ${response.status}`)
    heard(Number(response.headers.get('upload-offset')), null)
  }

  /** A body whose sender vanishes in the middle. */
  function broken(start: number, end: number): ReadableStream {
    const stop = random.int(start, end)
    return new ReadableStream({
      start(controller) {
        for (const chunk of file.chunks(start, stop)) controller.enqueue(chunk)
        setTimeout(() => controller.error(new Error('the client has vanished')), 50)
      },
    })
  }
}
