import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { sharedApp } from '../support/test-app.ts'

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
type Create = (method: 'POST', url: string, headers: Record<string, string>, payload: string) => Promise<string>

/** Every kind of request with a body. Those that append create an upload first; `create` returns its address or id. */
const bodyRequests: [string, (create: Create) => Promise<Request>][] = [
  ['POST of tus', async () => ({ method: 'POST', url: '/files', headers: tus, payload: 'hello' })],
  [
    'PATCH of tus',
    async (create) => ({
      method: 'PATCH',
      url: await create('POST', '/files', { ...tus, 'content-type': 'text/plain' }, ''),
      headers: { ...tus, 'upload-offset': '0' },
      payload: 'hello',
    }),
  ],
  [
    'POST of tus with X-HTTP-Method-Override',
    async (create) => ({
      method: 'POST',
      url: await create('POST', '/files', { ...tus, 'content-type': 'text/plain' }, ''),
      headers: { ...tus, 'upload-offset': '0', 'x-http-method-override': 'PATCH' },
      payload: 'hello',
    }),
  ],
  ['POST of RUFH', async () => ({ method: 'POST', url: '/files', headers: rufh, payload: 'hello' })],
  ['PUT of RUFH', async () => ({ method: 'PUT', url: '/files', headers: rufh, payload: 'hello' })],
  [
    'PATCH of RUFH',
    async (create) => ({
      method: 'PATCH',
      url: await create('POST', '/files', { ...rufh, 'upload-complete': '?0' }, ''),
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
  ...['/v1/uploads/init', '/api/upload/init'].flatMap((url): [string, (create: Create) => Promise<Request>][] => [
    [`POST ${url}`, async () => ({ method: 'POST', url, headers: json, payload: creation })],
    [
      `PUT of a part after ${url}`,
      async (create) => {
        const id = (await create('POST', url, json, creation)).split('/').at(-1)!
        const path = url.startsWith('/v1') ? `/v1/uploads/${id}/chunk` : '/api/upload/chunk'
        const headers = { 'content-type': 'application/octet-stream', 'x-chunk-index': '0', 'x-upload-id': id }
        return { method: 'PUT', url: path, headers, payload: 'hello' }
      },
    ],
  ]),
]
const creation = JSON.stringify({ file_name: 'notes.txt', total_size: 5 })

const refusedCodings = [
  'gzip',
  'br',
  'deflate',
  'zstd',
  'gzip, identity',
  'identity, gzip',
  'x-unheard-of',
  'gzip;q=0',
  '*',
]
const acceptedCodings = ['identity', 'Identity', 'identity, identity', '', ' ']

async function open() {
  const app = await sharedApp()
  const user = await app.as(userOf(randomUUID(), 'creator'))
  const send = (request: Request) => app.http.inject({ ...request, headers: { ...user, ...request.headers } })
  const create: Create = async (method, url, headers, payload) => {
    const answer = await send({ method, url, headers, payload })
    return String(answer.headers['location'] ?? answer.json().upload_id)
  }
  return { app, user, send, create }
}

it.each(bodyRequests)('a body with a content coding is 415 and is not stored: %s', async (_name, requestFor) => {
  const { app, user, send, create } = await open()
  const request = await requestFor(create)
  const objects = app.store.objects.size

  for (const coding of refusedCodings) {
    const answer = await send({ ...request, headers: { ...request.headers, 'content-encoding': coding } })
    expect([coding, answer.statusCode, answer.headers['accept-encoding']]).toEqual([coding, 415, 'identity'])
  }

  const listed = await app.http.inject({ url: '/v1/uploads', headers: user })
  for (const { state, offset } of listed.json().uploads) expect([state, offset]).toEqual(['receiving', 0])
  expect(app.store.objects.size).toBe(objects)
})

it.each(bodyRequests)('a body with the identity coding is accepted: %s', async (_name, requestFor) => {
  const { send, create } = await open()

  for (const coding of acceptedCodings) {
    const request = await requestFor(create)
    const answer = await send({ ...request, headers: { ...request.headers, 'content-encoding': coding } })
    expect([coding, Math.floor(answer.statusCode / 100)]).toEqual([coding, 2])
  }
})

it.each([
  ['base64', 415],
  ['quoted-printable', 415],
  ['BINARY', 201],
  ['8bit', 201],
])('a form file with Content-Transfer-Encoding %s is answered with %i', async (encoding, status) => {
  const { app, send } = await open()
  const payload = `${boundary}\r\ncontent-transfer-encoding: ${encoding}\r\n\r\naGVsbG8=\r\n--x--\r\n`

  const headers = { 'content-type': 'multipart/form-data; boundary=x' }
  const before = app.store.objects.size
  const answer = await send({ method: 'POST', url: '/v1/files', headers, payload })

  expect([answer.statusCode, app.store.objects.size - before]).toEqual([status, status === 201 ? 1 : 0])
})

it.each([
  ['a file with gzip', 'name="file"; filename="a.txt"', ['gzip'], 415],
  ['a file with identity', 'name="file"; filename="a.txt"', ['Identity'], 201],
  ['a file with two codings', 'name="file"; filename="a.txt"', ['identity', 'br'], 415],
  ['a field with gzip', 'name="category"', ['gzip'], 415],
])('the content coding of a part of a form: %s', async (_part, disposition, codings, status) => {
  const { app, send } = await open()
  const part = `--x\r\nContent-Disposition: form-data; ${disposition}\r\n`
  const codingLines = codings.map((coding) => `CONTENT-Encoding: ${coding}\r\n`).join('')
  const whole = `${boundary}\r\n\r\nhello\r\n`
  const payload = `${part}${codingLines}\r\nother\r\n${whole}--x--\r\n`
  const headers = { 'content-type': 'multipart/form-data; boundary=x' }

  const before = app.store.objects.size
  const answer = await send({ method: 'POST', url: '/v1/files', headers, payload })

  expect(answer.statusCode).toBe(status)
  // The other file of the form is not stored without this part.
  if (status === 415) expect(app.store.objects.size).toBe(before)
})

it.each(['image', 'undefined', 'null', 'image/*', 'undefined/undefined', '[object Object]', 'image / png', '\u0000'])(
  'an invalid filetype (%j) is ignored and the bytes decide the type',
  async (type) => {
    const { app, user } = await open()
    const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex')
    const metadata = `filename ${btoa('a.png')},filetype ${btoa(type)}`

    const answer = await app.http.inject({
      method: 'POST',
      url: '/files',
      headers: { ...user, ...tus, 'upload-length': String(png.length), 'upload-metadata': metadata },
      payload: png,
    })

    expect(answer.statusCode).toBe(201)
    const listed = await app.http.inject({ url: '/v1/uploads', headers: user })
    expect(listed.json().uploads[0]).toMatchObject({ state: 'completed', contentType: 'image/png' })
  },
)
