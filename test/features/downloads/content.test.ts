import { createHash } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { sharedApp, type TestApp } from '../../support/test-app.ts'
import { sendWholeFile } from './sent-file.ts'

const text = 'The quick brown fox jumps over the lazy dog'

async function get(app: TestApp, id: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') {
  return app.http.inject({ method, url: `/v1/files/${id}/content`, headers: { ...(await app.as()), ...headers } })
}

/** Without the fields that differ from answer to answer. */
function comparable({ date, 'x-request-id': id, connection, ...headers }: OutgoingHttpHeaders) {
  return headers
}

describe('the bytes of a file', () => {
  it('come whole, with their name, type, ETag and date', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'Füchse.txt', text)

    const answer = await get(app, id)

    expect(answer.statusCode).toBe(200)
    expect(answer.body).toBe(text)
    expect(answer.headers).toMatchObject({
      etag: `"${id}"`,
      'content-type': 'text/plain; charset=utf-8',
      'content-length': String(text.length),
      'content-disposition': `inline; filename="F_chse.txt"; filename*=UTF-8''F%C3%BCchse.txt`,
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
    })
    const { completedAt } = (await app.http.inject({ url: `/v1/uploads/${id}`, headers: await app.as() })).json()
    expect(answer.headers['last-modified']).toBe(new Date(completedAt).toUTCString())
    expect(answer.headers['set-cookie']).toBeUndefined()
  })

  it.each([
    ['bytes=0-0', 'T', 'bytes 0-0/43'],
    ['bytes=4-8', 'quick', 'bytes 4-8/43'],
    ['bytes=40-', 'dog', 'bytes 40-42/43'],
    ['bytes=-3', 'dog', 'bytes 40-42/43'],
    ['bytes=40-999', 'dog', 'bytes 40-42/43'],
    ['bytes=0-', text, 'bytes 0-42/43'],
    ['bytes=-999', text, 'bytes 0-42/43'],
  ])('come in a range: %s', async (range, expected, contentRange) => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)

    const answer = await get(app, id, { range })

    expect([answer.statusCode, answer.body, answer.headers['content-range'], answer.headers.etag]).toEqual([
      ...[206, expected, contentRange, `"${id}"`],
    ])
    expect(answer.headers['content-length']).toBe(String(expected.length))
  })

  it.each(['bytes=43-', 'bytes=5-4', 'bytes=-0', 'bytes=x'])('have no range %s', async (range) => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)

    const answer = await get(app, id, { range })

    expect(answer.statusCode).toBe(416)
    expect(answer.headers).toMatchObject({ 'content-range': 'bytes */43', 'cache-control': 'no-store' })
    expect(answer.json()).toMatchObject({ error: { code: 'RANGE_NOT_SATISFIABLE' } })
  })

  it.each([
    ['several ranges', { range: 'bytes=0-1,4-5' }],
    ['another unit', { range: 'lines=0-1' }],
    ['a range of another file', { range: 'bytes=0-1', 'if-range': '"other"' }],
    ['a range of an older date', { range: 'bytes=0-1', 'if-range': 'Sun, 06 Nov 1994 08:49:37 GMT' }],
  ])('come whole to a request for %s', async (_, headers) => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)

    const answer = await get(app, id, headers)

    expect([answer.statusCode, answer.body, answer.headers['content-range']]).toEqual([200, text, undefined])
  })

  it('come in a range of this file', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const { etag, 'last-modified': date } = (await get(app, id)).headers as Record<string, string>

    for (const validator of [etag!, date!])
      expect((await get(app, id, { range: 'bytes=0-2', 'if-range': validator })).body).toBe('The')
  })

  it('do not come to a client that has them, or that means others', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const { 'last-modified': date } = (await get(app, id)).headers as Record<string, string>
    app.store.calls.length = 0

    const answers = await Promise.all([
      get(app, id, { 'if-none-match': `"${id}"` }),
      get(app, id, { 'if-modified-since': date! }),
      get(app, id, { 'if-match': '"other"' }),
      get(app, id, { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' }),
    ])

    expect(answers.map(({ statusCode }) => statusCode)).toEqual([304, 304, 412, 412])
    expect(answers[0]!.headers).toMatchObject({ etag: `"${id}"`, 'cache-control': 'private, no-cache' })
    expect(answers[2]!.headers).toMatchObject({ 'cache-control': 'no-store' })
    expect(app.store.calls).toEqual([])
  })

  it('are described by HEAD as by GET, without a look into the store', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const whole = await get(app, id)
    app.store.calls.length = 0

    const heads = [await get(app, id, {}, 'HEAD'), await get(app, id, { range: 'bytes=0-1' }, 'HEAD')]

    for (const head of heads) {
      expect([head.statusCode, head.body]).toEqual([200, ''])
      expect(comparable(head.headers)).toEqual(comparable(whole.headers))
    }
    expect(app.store.calls).toEqual([])
  })

  it('may be none', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'empty.txt', '')

    const answers = [await get(app, id), await get(app, id, {}, 'HEAD'), await get(app, id, { range: 'bytes=0-' })]

    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 416])
    for (const { headers } of answers.slice(0, 2)) expect(headers['content-length']).toBe('0')
    expect(answers[2]!.headers['content-range']).toBe('bytes */0')
  })

  it('come with their digest when it is known', async () => {
    const app = await sharedApp()
    const digest = `sha-256=:${createHash('sha256').update(text).digest('base64')}:`
    const headers = { 'upload-draft-interop-version': '8', 'upload-complete': '?1', 'repr-digest': digest }
    const created = await app.http.inject({
      method: 'POST',
      url: '/files',
      headers: { ...headers, ...(await app.as()) },
      payload: text,
    })
    const id = String(created.headers.location).split('/').at(-1)!

    expect((await get(app, id)).headers['repr-digest']).toBe(digest)
    expect((await get(app, id, { range: 'bytes=0-1' })).headers['repr-digest']).toBe(digest)
    expect((await get(app, await sendWholeFile(app, 'a.txt', text))).headers['repr-digest']).toBeUndefined()
  })

  it('may be asked for by a page of another origin, which may read the headers', async () => {
    const app = await sharedApp({ CORS_ORIGINS: 'https://app.example' })
    const id = await sendWholeFile(app, 'a.txt', text)

    const answer = await get(app, id, { origin: 'https://app.example', range: 'bytes=0-1' })

    expect(answer.headers['access-control-allow-origin']).toBe('https://app.example')
    const exposed = String(answer.headers['access-control-expose-headers']).split(', ')
    expect(exposed).toEqual(expect.arrayContaining(['Content-Range', 'Content-Disposition', 'ETag', 'Accept-Ranges']))
  })
})

describe('only a readable file is sent', () => {
  it('to its owner and admins; for others it does not exist', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const statusFor = async (actor: Parameters<TestApp['as']>[0]) =>
      (await app.http.inject({ url: `/v1/files/${id}/content`, headers: await app.as(actor) })).statusCode

    expect(await statusFor(userOf('eve', 'creator'))).toBe(404)
    expect(await statusFor(userOf('ada', 'creator', { tenant: 'acme' }))).toBe(404)
    expect(await statusFor(userOf('boss', 'creator', { tenant: 'acme', isAdmin: true }))).toBe(404)
    expect(await statusFor(userOf('root', 'creator', { isAdmin: true }))).toBe(200)
  })

  it('when it is complete and was not deleted', async () => {
    const app = await sharedApp()
    const headers = await app.as()
    const payload = { file_name: 'a.bin', total_size: 1000 }
    const open = (await app.http.inject({ method: 'POST', url: '/v1/uploads/init', headers, payload })).json().upload_id
    const deleted = await sendWholeFile(app, 'a.txt', text)
    await app.http.inject({ method: 'DELETE', url: `/v1/uploads/${deleted}`, headers })

    const answers = [await get(app, open), await get(app, deleted), await get(app, 'x'), await get(app, app.secret)]

    expect(answers.map((answer) => [answer.statusCode, answer.json().error.code])).toEqual([
      [409, 'FILE_INCOMPLETE'],
      [410, 'UPLOAD_GONE'],
      [404, 'UPLOAD_NOT_FOUND'],
      [404, 'UPLOAD_NOT_FOUND'],
    ])
  })
})

const pdf = Buffer.from('%PDF-1.7\n1 0 obj\n<<>>\nendobj\n')
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

describe('a browser shows only what its bytes show to be harmless', () => {
  it.each<[string, string, string | Buffer, string, string]>([
    ['a.png', 'image/png', png, 'image/png', 'inline'],
    ['a.pdf', 'application/pdf', pdf, 'application/pdf', 'inline'],
    ['a.txt', 'text/plain', text, 'text/plain; charset=utf-8', 'inline'],
    // The bytes decide, not what the client says.
    ['a.png', 'image/png', '<!doctype html><script>alert(1)</script>', 'application/octet-stream', 'attachment'],
    ['a.txt', 'text/plain', '<!doctype html><script>alert(1)</script>', 'application/octet-stream', 'attachment'],
    ['a.png', 'image/png', svg, 'application/octet-stream', 'attachment'],
    ['a.html', 'text/html', '<!doctype html><script>alert(1)</script>', 'application/octet-stream', 'attachment'],
  ])('%s sent as %s is sent on as it is', async (name, sentAs, bytes, type, disposition) => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, name, bytes, { 'content-type': sentAs })

    const { headers } = await get(app, id)

    expect(headers['content-type']).toBe(type)
    expect(String(headers['content-disposition'])).toMatch(new RegExp(`^${disposition};`))
    const isSandboxed = String(headers['content-security-policy']).includes('sandbox')
    expect(isSandboxed).toBe(type !== 'application/pdf')
    expect(headers['x-content-type-options']).toBe('nosniff')
  })

  it.each([
    ...['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/xml', 'application/xml', 'text/javascript'],
    ...['application/javascript', 'text/css', 'multipart/x-mixed-replace', 'message/rfc822', 'text/vtt', 'x/y'],
    ...['application/x-shockwave-flash', 'text/cache-manifest', 'application/wasm', 'application/rss+xml'],
  ])('%s is saved, whatever the client asks for', async (contentType) => {
    const app = await sharedApp({ CONTENT_CHECK: 'false' })
    const id = await sendWholeFile(app, 'a', svg, { 'content-type': contentType })

    const url = `/v1/files/${id}/content?disposition=inline`
    const { headers } = await app.http.inject({ url, headers: await app.as() })

    expect(headers['content-type']).toBe('application/octet-stream')
    expect(String(headers['content-disposition'])).toMatch(/^attachment;/)
  })

  it('saves every file that the client wants to save', async () => {
    const app = await sharedApp()
    const id = await sendWholeFile(app, 'a.txt', text)
    const url = `/v1/files/${id}/content?disposition=attachment`

    const { headers } = await app.http.inject({ url, headers: await app.as() })

    expect(String(headers['content-disposition'])).toMatch(/^attachment;/)
  })
})
