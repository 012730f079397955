import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { testApp } from '../../support/test-app.ts'

const origin = 'https://page.example'

describe('REST in the whole app', () => {
  it.each([
    ['POST', '/v1/uploads/init', 'content-type'],
    ['PUT', '/v1/uploads/a/chunk', 'x-chunk-index, content-md5, content-digest'],
    ['PUT', '/v1/files/a.txt', 'content-type, content-digest'],
    ['POST', '/api/upload/chunk', 'x-upload-id, x-chunk-index'],
  ])('allows %s %s to a page on another origin', async (method, url, headers) => {
    const { http } = await testApp({ CORS_ORIGINS: origin })

    const answer = await http.inject({
      method: 'OPTIONS',
      url,
      headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': headers },
    })

    expect(answer.statusCode).toBeLessThan(300)
    expect(answer.headers['access-control-allow-methods']).toContain(method)
    const allowed = String(answer.headers['access-control-allow-headers']).toLowerCase()
    for (const header of headers.split(', ')) expect(allowed).toContain(header)
  })

  it('exposes Location and ETag to a page on another origin, in errors too', async () => {
    const { http, as } = await testApp({ CORS_ORIGINS: origin })
    const headers = { ...(await as()), origin }

    const file = await http.inject({ method: 'PUT', url: '/v1/files/a.txt', headers, payload: randomBytes(5) })
    const refused = await http.inject({ method: 'PUT', url: '/v1/files/a.txt', headers: { origin }, payload: 'a' })

    expect(file.statusCode).toBe(201)
    expect(refused.statusCode).toBe(401)
    for (const answer of [file, refused]) {
      expect(answer.headers['access-control-allow-origin']).toBe(origin)
      const exposed = String(answer.headers['access-control-expose-headers']).split(', ')
      expect(exposed).toEqual(expect.arrayContaining(['Location', 'ETag']))
    }
  })

  it('stores a file of chunks under the key that GET /v1/uploads answers', async () => {
    const { http, as, store } = await testApp()
    const headers = await as()
    const bytes = randomBytes(1000)
    const fields = { file_name: 'a.txt', total_size: bytes.length }
    const { upload_id } = (
      await http.inject({ method: 'POST', url: '/v1/uploads/init', headers, payload: fields })
    ).json()

    await http.inject({
      method: 'PUT',
      url: `/v1/uploads/${upload_id}/chunk`,
      headers: { ...headers, 'x-chunk-index': '0' },
      payload: bytes,
    })
    await http.inject({ method: 'POST', url: `/v1/uploads/${upload_id}/complete`, headers })

    const upload = (await http.inject({ url: `/v1/uploads/${upload_id}`, headers })).json()
    expect(upload).toMatchObject({ state: 'completed', size: 1000 })
    expect(store.objects.get(upload.key)).toEqual(bytes)
  })
})
