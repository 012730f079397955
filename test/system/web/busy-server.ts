import { setTimeout as sleep } from 'node:timers/promises'
import type { Actor } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'

/** A server that is spoken to over HTTP, and what its tokens are signed with. */
export interface Spoken {
  url: string
  secret: string
}

export interface Wish {
  filename: string
  size: number
  /** What the file begins with; the rest is of no meaning. */
  head?: Buffer
}

/** What a film begins with. */
export const filmHead = Buffer.from('0000002066747970697366d60000020069736f6d69736f32617663316d703431', 'hex')
export const pictureHead = Buffer.from('89504e470d0a1a0a0000000d4948445200000010000000100806000000', 'hex')
export const paperHead = Buffer.from('%PDF-1.7\n')

/** The headers of somebody who speaks tus. */
export async function tusAs({ secret }: Spoken, actor: Actor) {
  return { authorization: `Bearer ${await signToken(secret, actor, 600)}`, 'tus-resumable': '1.0.0' }
}

/** Begins an upload; the answer says where it is. */
export async function begin(server: Spoken, actor: Actor, { filename, size }: Wish): Promise<Response> {
  const metadata = `filename ${Buffer.from(filename).toString('base64')}`
  return fetch(`${server.url}/files`, {
    method: 'POST',
    headers: { ...(await tusAs(server, actor)), 'upload-length': String(size), 'upload-metadata': metadata },
  })
}

/**
 * Sends a whole file, or the first `upTo` bytes of it.
 * @param perSecond bytes; not given: as fast as can be
 * @returns the status of the answer to the bytes; `null` when the connection was closed
 */
export async function send(
  server: Spoken,
  actor: Actor,
  creation: Wish,
  { perSecond, upTo = creation.size }: { perSecond?: number; upTo?: number } = {},
): Promise<{ id: string; sent: Promise<number | null> }> {
  const created = await begin(server, actor, creation)
  if (created.status !== 201) throw new Error(`${creation.filename}: ${created.status} ${await created.text()}`)
  const location = created.headers.get('location')!
  const sent = fetch(new URL(location, server.url), {
    method: 'PATCH',
    headers: {
      ...(await tusAs(server, actor)),
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
    },
    body: ReadableStream.from(bytesOf(creation, upTo, perSecond)),
    duplex: 'half',
  }).then(
    ({ status }) => status,
    () => null,
  )
  return { id: location.split('/').at(-1)!, sent }
}

async function* bytesOf({ head = Buffer.alloc(0) }: Wish, upTo: number, perSecond?: number): AsyncGenerator<Buffer> {
  const step = perSecond === undefined ? 256 * 1024 : Math.ceil(perSecond / 10)
  for (let at = 0; at < upTo; at += step) {
    if (perSecond !== undefined) await sleep(100)
    const bytes = Buffer.alloc(Math.min(step, upTo - at), 7)
    if (at === 0) head.copy(bytes)
    yield bytes
  }
}
