import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { bytes, html, jpeg, noise, png } from '../media/built.ts'
import { portOf, sharedApp } from '../support/test-app.ts'

/** Serves the whole app on a port of its own, to a user whose role may send images only. */
async function openServer() {
  const app = await sharedApp({ POLICIES: '{"creator":{"mediaTypes":["image/*"],"categories":["image"]}}' })
  const url = `http://127.0.0.1:${await portOf(app)}`
  const headers = await app.as(userOf(randomUUID(), 'creator'))
  const writes = () => app.store.calls.filter((call) => /^(put|createMultipart|uploadPart)$/.test(call)).length
  const before = writes()

  async function ask(method: string, path: string, more: Record<string, string>, body?: Buffer) {
    const answer = await fetch(new URL(path, url), {
      method,
      headers: { ...headers, ...more },
      ...(body && { body: new Uint8Array(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, headers: answer.headers, body: text ? JSON.parse(text) : undefined }
  }

  /** The newest upload of the user, and whether anything was written to the store. */
  async function newest() {
    const { body } = await ask('GET', '/v1/uploads', {})
    return { ...body.uploads[0], isStored: writes() > before }
  }
  return { ...app, ask, newest }
}

const tus = { 'tus-resumable': '1.0.0' }
const chunk = { ...tus, 'content-type': 'application/offset+octet-stream' }
const metadataOf = (type: string) => ({
  'upload-metadata': `filename ${btoa('a.png')}${type && `,filetype ${btoa(type)}`}`,
})

describe('in tus', () => {
  async function create(server: Awaited<ReturnType<typeof openServer>>, length: number, type: string) {
    const created = await server.ask('POST', '/files', { ...tus, 'upload-length': String(length), ...metadataOf(type) })
    expect(created.status).toBe(201)
    return created.headers.get('location')!
  }

  it('an HTML file sent as image/png is 415, and its upload is 410 afterwards', async () => {
    const server = await openServer()
    const path = await create(server, html.length, 'image/png')

    const refused = await server.ask('PATCH', path, { ...chunk, 'upload-offset': '0' }, bytes(html))

    expect([refused.status, refused.body.error.code]).toEqual([415, 'TYPE_NOT_ALLOWED'])
    expect((await server.ask('HEAD', path, tus)).status).toBe(410)
    expect(await server.newest()).toMatchObject({ state: 'failed', failure: 'type', isStored: false })
  })

  it('an HTML file sent one byte per PATCH is 415 at its last byte', async () => {
    const server = await openServer()
    const path = await create(server, html.length, 'image/png')

    const statuses: number[] = []
    for (let offset = 0; offset < html.length; offset += 1) {
      const byte = bytes(html[offset]!)
      statuses.push((await server.ask('PATCH', path, { ...chunk, 'upload-offset': String(offset) }, byte)).status)
    }

    expect(statuses).toEqual([...Array.from({ length: html.length - 1 }, () => 204), 415])
    expect(await server.newest()).toMatchObject({ state: 'failed', isStored: false })
  })

  it('an HTML file in the body of a creation as image/png is 415', async () => {
    const server = await openServer()

    const refused = await server.ask(
      'POST',
      '/files',
      { ...chunk, 'upload-length': String(html.length), ...metadataOf('image/png') },
      bytes(html),
    )

    expect(refused.status).toBe(415)
    expect(await server.newest()).toMatchObject({ state: 'failed', isStored: false })
  })

  it('an image without a declared type is stored with its detected type', async () => {
    const server = await openServer()
    const path = await create(server, jpeg.length, '')

    const answer = await server.ask('PATCH', path, { ...chunk, 'upload-offset': '0' }, jpeg)

    expect(answer.status).toBe(204)
    expect(await server.newest()).toMatchObject({ state: 'completed', contentType: 'image/jpeg', category: 'image' })
  })
})

describe('in RUFH', () => {
  const rufh = { 'upload-draft-interop-version': '8', 'upload-complete': '?1', 'content-type': 'image/png' }

  it('an HTML file sent as image/png is 415', async () => {
    const server = await openServer()

    const refused = await server.ask('POST', '/files', rufh, bytes(html))

    expect([refused.status, refused.body.error.code]).toEqual([415, 'TYPE_NOT_ALLOWED'])
    expect(await server.newest()).toMatchObject({ state: 'failed', isStored: false })
  })

  it('an image is stored', async () => {
    const server = await openServer()

    const answer = await server.ask('POST', '/files', rufh, png)

    expect(answer.status).toBe(201)
    expect(await server.newest()).toMatchObject({ state: 'completed', contentType: 'image/png' })
  })
})

describe('in REST', () => {
  it('an HTML file in one request as image/png is 415', async () => {
    const server = await openServer()

    const refused = await server.ask('PUT', '/v1/files/a.png', { 'content-type': 'image/png' }, bytes(html))

    expect([refused.status, refused.body.error.code]).toEqual([415, 'TYPE_NOT_ALLOWED'])
    expect(await server.newest()).toMatchObject({ state: 'failed', isStored: false })
  })

  it('an HTML file in a first chunk as image/png is 415', async () => {
    const server = await openServer()
    const json = { 'content-type': 'application/json' }
    const whole = Buffer.concat([bytes(html), noise(10_000)])
    const creation = { file_name: 'a.png', content_type: 'image/png', total_size: whole.length }
    const { body } = await server.ask('POST', '/v1/uploads/init', json, Buffer.from(JSON.stringify(creation)))

    const refused = await server.ask(
      'PUT',
      `/v1/uploads/${body.upload_id}/chunk`,
      { 'content-type': 'application/octet-stream', 'x-chunk-index': '0' },
      whole,
    )

    expect([refused.status, refused.body.error.code]).toEqual([415, 'TYPE_NOT_ALLOWED'])
    expect(await server.newest()).toMatchObject({ state: 'failed', isStored: false })
  })
})

it.each([
  'text/html',
  'text/xsl',
  'Image/SVG+XML; charset=utf-8',
  'multipart/x-mixed-replace',
  'application/javascript',
])('CONTENT_CHECK=false stores a file declared as %s as an attachment', async (type) => {
  const app = await sharedApp({ CONTENT_CHECK: 'false' })
  const before = app.store.metadata.size

  const answer = await app.http.inject({
    method: 'PUT',
    url: '/v1/files/a.png',
    headers: { ...(await app.as()), 'content-type': type },
    payload: html,
  })

  expect(answer.statusCode).toBe(201)
  expect([...app.store.metadata.values()].slice(before)).toEqual([
    { contentType: 'application/octet-stream', isAttachment: true, origin: expect.any(String) },
  ])
})

it('CONTENT_CHECK=false stores a file with the image type that the client declared', async () => {
  const app = await sharedApp({ CONTENT_CHECK: 'false' })
  const before = app.store.metadata.size

  const answer = await app.http.inject({
    method: 'PUT',
    url: '/v1/files/a.png',
    headers: { ...(await app.as()), 'content-type': 'image/png' },
    payload: html,
  })

  expect(answer.statusCode).toBe(201)
  expect([...app.store.metadata.values()].slice(before)).toEqual([
    { contentType: 'image/png', origin: expect.any(String) },
  ])
})
