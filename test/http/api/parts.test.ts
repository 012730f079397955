import { randomBytes, randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { bodyOf } from '../../support/open-engine.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'

async function get({ http, as }: TestApp, url: string, actor: ReturnType<typeof userOf>) {
  return http.inject({ url, headers: await as(actor) })
}

describe('GET /v1/uploads/{id}/parts', () => {
  it('lists the stored parts with their place and CRC-32, also behind a gap', async () => {
    const app = await testApp({ CHUNK_SIZE: '5MiB' })
    const actor = userOf(randomUUID(), 'member')
    const { id, partSize } = await app.engine.create(actor, {
      size: 5 * 1024 ** 2 + 3,
      filename: 'a.pdf',
      contentType: 'application/pdf',
      kind: 'parted',
      ending: 'later',
    })
    const bytes = randomBytes(5 * 1024 ** 2 + 3 - partSize)
    await app.engine.uploadPart(actor, id, { number: 2, body: bodyOf(bytes), bodySize: bytes.length })

    const answer = await get(app, `/v1/uploads/${id}/parts`, actor)

    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({
      parts: [{ number: 2, offset: partSize, size: bytes.length, etag: expect.any(String), crc32: crc32(bytes) }],
    })
  })

  it('lists none of a completed upload, whose own view tells the CRC-32 of the file', async () => {
    const app = await testApp()
    const actor = userOf(randomUUID(), 'member')
    const { id } = await app.engine.create(actor, { size: 5, filename: 'a.txt', contentType: 'text/plain' })
    const view = async () => (await get(app, `/v1/uploads/${id}`, actor)).json()
    expect(await view()).toMatchObject({ state: 'receiving', crc32: null })

    await app.engine.append(actor, id, {
      offset: 0,
      body: bodyOf(Buffer.from('hello')),
      bodySize: 5,
      ending: 'at-size',
    })

    expect(await view()).toMatchObject({ state: 'completed', crc32: crc32('hello') })
    expect((await get(app, `/v1/uploads/${id}/parts`, actor)).json()).toEqual({ parts: [] })
  })

  it('is not there for another user', async () => {
    const app = await testApp()
    const { id } = await app.engine.create(userOf(randomUUID(), 'member'), {
      size: 5,
      filename: 'a.txt',
      contentType: 'text/plain',
    })

    const answer = await get(app, `/v1/uploads/${id}/parts`, userOf(randomUUID(), 'member'))

    expect(answer.statusCode).toBe(404)
  })
})
