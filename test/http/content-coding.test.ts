import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { testApp } from '../support/test-app.ts'

const tus = { 'tus-resumable': '1.0.0', 'upload-length': '5', 'content-type': 'application/offset+octet-stream' }
const rufh = { 'upload-draft-interop-version': '8', 'upload-complete': '?1', 'content-type': 'text/plain' }

it.each([
  ['tus', 'POST', '/files', tus],
  ['RUFH', 'POST', '/files', rufh],
  ['a file in one request', 'PUT', '/v1/files/notes.txt', { 'content-type': 'text/plain' }],
  ['a form', 'POST', '/v1/files', { 'content-type': 'multipart/form-data; boundary=x' }],
  ['JSON', 'POST', '/v1/uploads/init', { 'content-type': 'application/json' }],
  ['the contract of older clients', 'POST', '/api/upload/init', { 'content-type': 'application/json' }],
] as const)('a body with a content coding is 415: %s', async (_what, method, url, headers) => {
  const app = await testApp()
  const ada = userOf(randomUUID(), 'creator')
  for (const coding of ['gzip', 'br', 'identity, gzip', 'x-unheard-of']) {
    const answer = await app.http.inject({
      method,
      url,
      headers: { ...(await app.as(ada)), ...headers, 'content-encoding': coding },
      payload: 'hello',
    })

    expect([answer.statusCode, answer.headers['accept-encoding']]).toEqual([415, 'identity'])
  }
  const listed = await app.http.inject({ url: '/v1/uploads', headers: await app.as(ada) })
  expect(listed.json().uploads).toEqual([])
})

it('a body whose coding is identity is taken', async () => {
  const app = await testApp()

  const answer = await app.http.inject({
    method: 'PUT',
    url: '/v1/files/notes.txt',
    headers: { ...(await app.as()), 'content-type': 'text/plain', 'content-encoding': 'identity' },
    payload: 'hello',
  })

  expect(answer.statusCode).toBe(201)
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
