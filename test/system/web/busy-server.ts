import { setTimeout as sleep } from 'node:timers/promises'
import type { Actor } from '../../../src/core/upload.ts'
import { signToken } from '../../../src/http/identity/secret.ts'

/** The URL of a server, and the secret that its tokens are signed with. */
export interface TestServer {
  url: string
  secret: string
}

export interface FileSpec {
  filename: string
  size: number
  /** The first bytes of the file; the rest is filler. */
  prefix?: Buffer
}

/** The first bytes of an MP4 file. */
export const videoPrefix = Buffer.from('0000002066747970697366d60000020069736f6d69736f32617663316d703431', 'hex')
export const imagePrefix = Buffer.from('89504e470d0a1a0a0000000d4948445200000010000000100806000000', 'hex')
export const pdfPrefix = Buffer.from('%PDF-1.7\n')

/** The headers of a tus client. */
export async function tusHeaders({ secret }: TestServer, actor: Actor) {
  return { authorization: `Bearer ${await signToken(secret, actor, 600)}`, 'tus-resumable': '1.0.0' }
}

/** Creates an upload; the response contains its location. */
export async function createUpload(server: TestServer, actor: Actor, { filename, size }: FileSpec): Promise<Response> {
  const metadata = `filename ${Buffer.from(filename).toString('base64')}`
  return fetch(`${server.url}/files`, {
    method: 'POST',
    headers: { ...(await tusHeaders(server, actor)), 'upload-length': String(size), 'upload-metadata': metadata },
  })
}

/**
 * Sends a whole file, or the first `upTo` bytes of it.
 * @param perSecond bytes per second; default: as fast as possible
 * @returns the status of the PATCH; `null` when the connection was closed
 */
export async function send(
  server: TestServer,
  actor: Actor,
  file: FileSpec,
  { perSecond, upTo = file.size }: { perSecond?: number; upTo?: number } = {},
): Promise<{ id: string; sent: Promise<number | null> }> {
  const created = await createUpload(server, actor, file)
  if (created.status !== 201) throw new Error(`${file.filename}: ${created.status} ${await created.text()}`)
  const location = created.headers.get('location')!
  const sent = fetch(new URL(location, server.url), {
    method: 'PATCH',
    headers: {
      ...(await tusHeaders(server, actor)),
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
    },
    body: ReadableStream.from(bytesOf(file, upTo, perSecond)),
    duplex: 'half',
  }).then(
    ({ status }) => status,
    () => null,
  )
  return { id: location.split('/').at(-1)!, sent }
}

async function* bytesOf(
  { prefix = Buffer.alloc(0) }: FileSpec,
  upTo: number,
  perSecond?: number,
): AsyncGenerator<Buffer> {
  const step = perSecond === undefined ? 256 * 1024 : Math.ceil(perSecond / 10)
  for (let at = 0; at < upTo; at += step) {
    if (perSecond !== undefined) await sleep(100)
    const bytes = Buffer.alloc(Math.min(step, upTo - at), 7)
    if (at === 0) prefix.copy(bytes)
    yield bytes
  }
}
