import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { testApp } from '../support/test-app.ts'

const tus = { 'tus-resumable': '1.0.0', 'upload-length': '5', 'content-type': 'application/offset+octet-stream' }
const rufh = { 'upload-draft-interop-version': '8', 'upload-complete': '?1', 'content-type': 'text/plain' }
const json = { 'content-type': 'application/json' }
const boundary = '--x\r\ncontent-disposition: form-data; name="f"; filename="notes.txt"'

interface Request {
  method: 'POST' | 'PUT' | 'PATCH'
  url: string
  headers: Record<string, string>
  payload: string
}
type Begin = (method: 'POST', url: string, headers: Record<string, string>, payload: string) => Promise<string>

/** Every way in which a body comes; those that append begin an upload first, and `begin` tells its address or id. */
const ways: [string, (begin: Begin) => Promise<Request>][] = [
  ['POST of tus', async () => ({ method: 'POST', url: '/files', headers: tus, payload: 'hello' })],
  [
    'PATCH of tus',
    async (begin) => ({
      method: 'PATCH',
      url: await begin('POST', '/files', { ...tus, 'content-type': 'text/plain' }, ''),
      headers: { ...tus, 'upload-offset': '0' },
      payload: 'hello',
    }),
  ],
  [
    'POST of tus that stands for a PATCH',
    async (begin) => ({
      method: 'POST',
      url: await begin('POST', '/files', { ...tus, 'content-type': 'text/plain' }, ''),
      headers: { ...tus, 'upload-offset': '0', 'x-http-method-override': 'PATCH' },
      payload: 'hello',
    }),
  ],
  ['POST of RUFH', async () => ({ method: 'POST', url: '/files', headers: rufh, payload: 'hello' })],
  ['PUT of RUFH', async () => ({ method: 'PUT', url: '/files', headers: rufh, payload: 'hello' })],
  [
    'PATCH of RUFH',
    async (begin) => ({
      method: 'PATCH',
      url: await begin('POST', '/files', { ...rufh, 'upload-complete': '?0' }, ''),
      headers: { ...rufh, 'upload-offset': '0', 'content-type': 'application/partial-upload' },
      payload: 'hello',
    }),
  ],
  [
    'PUT of a file',
    async () => ({
      method: 'PUT',
      url: '/v1/files/notes.txt',
      headers: { 'content-type': 'text/plain' },
      payload: 'hello',
    }),
  ],
  [
    'form',
    async () => ({
      method: 'POST',
      url: '/v1/files',
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      payload: `${boundary}\r\n\r\nhello\r\n--x--\r\n`,
    }),
  ],
  ...['/v1/uploads/init', '/api/upload/init'].flatMap((url): [string, (begin: Begin) => Promise<Request>][] => [
    [`POST ${url}`, async () => ({ method: 'POST', url, headers: json, payload: creation })],
    [
      `PUT of a chunk after ${url}`,
      async (begin) => {
        const id = (await begin('POST', url, json, creation)).split('/').at(-1)!
        const path = url.startsWith('/v1') ? `/v1/uploads/${id}/chunk` : '/api/upload/chunk'
        const headers = { 'content-type': 'application/octet-stream', 'x-chunk-index': '0', 'x-upload-id': id }
        return { method: 'PUT', url: path, headers, payload: 'hello' }
      },
    ],
  ]),
]
const creation = JSON.stringify({ file_name: 'notes.txt', total_size: 5 })

const refused = ['gzip', 'br', 'deflate', 'zstd', 'gzip, identity', 'identity, gzip', 'x-unheard-of', 'gzip;q=0', '*']
const taken = ['identity', 'Identity', 'identity, identity', '', ' ']

async function open() {
  const app = await testApp()
  const user = await app.as(userOf(randomUUID(), 'creator'))
  const send = (request: Request) => app.http.inject({ ...request, headers: { ...user, ...request.headers } })
  const begin: Begin = async (method, url, headers, payload) => {
    const answer = await send({ method, url, headers, payload })
    return String(answer.headers['location'] ?? answer.json().upload_id)
  }
  return { app, user, send, begin }
}

it.each(ways)('a body with a content coding is 415, and nothing comes of it: %s', async (_way, requestFor) => {
  const { app, user, send, begin } = await open()
  const request = await requestFor(begin)

  for (const coding of refused) {
    const answer = await send({ ...request, headers: { ...request.headers, 'content-encoding': coding } })
    expect([coding, answer.statusCode, answer.headers['accept-encoding']]).toEqual([coding, 415, 'identity'])
  }

  const listed = await app.http.inject({ url: '/v1/uploads', headers: user })
  for (const { state, offset } of listed.json().uploads) expect([state, offset]).toEqual(['receiving', 0])
  expect(app.store.calls).toEqual([])
})

it.each(ways)('a body whose coding is none is taken: %s', async (_way, requestFor) => {
  const { send, begin } = await open()

  for (const coding of taken) {
    const request = await requestFor(begin)
    const answer = await send({ ...request, headers: { ...request.headers, 'content-encoding': coding } })
    expect([coding, Math.floor(answer.statusCode / 100)]).toEqual([coding, 2])
  }
})

it.each([
  ['base64', 415],
  ['quoted-printable', 415],
  ['BINARY', 201],
  ['8bit', 201],
])('a file of a form with Content-Transfer-Encoding %s is %i', async (encoding, status) => {
  const { app, send } = await open()
  const payload = `${boundary}\r\ncontent-transfer-encoding: ${encoding}\r\n\r\naGVsbG8=\r\n--x--\r\n`

  const headers = { 'content-type': 'multipart/form-data; boundary=x' }
  const answer = await send({ method: 'POST', url: '/v1/files', headers, payload })

  expect([answer.statusCode, app.store.objects.size]).toEqual([status, status === 201 ? 1 : 0])
})

it.each(['image', 'undefined', 'null', 'image/*', 'undefined/undefined', '[object Object]', 'image / png', '\u0000'])(
  'a filetype that is none (%j) is no hint, and the bytes decide',
  async (type) => {
    const app = await testApp()
    const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex')
    const metadata = `filename ${btoa('a.png')},filetype ${btoa(type)}`

    const answer = await app.http.inject({
      method: 'POST',
      url: '/files',
      headers: { ...(await app.as()), ...tus, 'upload-length': String(png.length), 'upload-metadata': metadata },
      payload: png,
    })

    expect(answer.statusCode).toBe(201)
    const listed = await app.http.inject({ url: '/v1/uploads', headers: await app.as() })
    expect(listed.json().uploads[0]).toMatchObject({ state: 'completed', contentType: 'image/png' })
  },
)
