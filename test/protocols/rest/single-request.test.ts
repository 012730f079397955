import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { unavailable } from '../../support/memory-store.ts'
import { type Answer, openRest, type RestApp } from './open-rest.ts'

const bytes = randomBytes(47)

function put(app: RestApp, name: string, payload: Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return app.ask({ method: 'PUT', url: `/v1/files/${name}`, payload, headers })
}

/** A form in the format of browsers and curl. */
function formOf(
  parts: { name: string; filename?: string; type?: string; value: Buffer | string }[],
  end = '--b0--\r\n',
) {
  const chunks = parts.flatMap(({ name, filename, type, value }) => [
    `--b0\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n`,
    type === undefined ? '\r\n' : `Content-Type: ${type}\r\n\r\n`,
    value,
    '\r\n',
  ])
  return Buffer.concat([...chunks, end].map((chunk) => Buffer.from(chunk as string)))
}

function post(app: RestApp, payload: Buffer, type = 'multipart/form-data; boundary=b0'): Promise<Answer> {
  return app.ask({ method: 'POST', url: '/v1/files', payload, headers: { 'content-type': type } })
}

describe('a file in one PUT', () => {
  it.each([0, 1, 9, 10, 11, 47])('of %i bytes is stored when the server answers', async (size) => {
    const app = await openRest()

    const answer = await put(app, 'notes.txt', bytes.subarray(0, size), { 'content-type': 'text/plain' })

    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe(`/v1/uploads/${answer.body.id}`)
    expect(answer.body).toMatchObject({ state: 'completed', filename: 'notes.txt', size })
    expect([...app.store.objects.entries()]).toEqual([[answer.body.key, bytes.subarray(0, size)]])
  })

  it('has the name in its path, also one with dots, slashes and Unicode', async () => {
    const app = await openRest()

    const answer = await put(app, encodeURIComponent('../Straße 7/naïve ☃.txt'), bytes)

    expect(answer.body).toMatchObject({ filename: '../Straße 7/naïve ☃.txt', category: 'document' })
    expect(answer.body.key).not.toContain('..')
  })

  it('without a name in its path is refused, and nothing is stored', async () => {
    const app = await openRest()

    const answer = await put(app, '', bytes)

    expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'MISSING_FIELD' } }])
    expect(app.store.objects.size).toBe(0)
  })

  it.each([
    ['of its extension', 'a.png', {}, 'image/png'],
    [
      'of its extension when curl sends its default type',
      'a.png',
      { 'content-type': 'application/x-www-form-urlencoded' },
      'image/png',
    ],
    ['in its Content-Type', 'a.png', { 'content-type': 'Text/Plain; charset=utf-8' }, 'text/plain'],
    ['application/octet-stream without either', 'a', {}, 'application/octet-stream'],
  ])('has the media type %s', async (_what, name, headers, type) => {
    const app = await openRest()

    expect((await put(app, name, bytes, headers)).body.contentType).toBe(type)
  })

  it('is checked against the rules of the role before its bytes are read', async () => {
    const app = await openRest()
    const request = { method: 'PUT', payload: bytes, token: 'sue:subscriber' } as const

    const video = await app.ask({ ...request, url: '/v1/files/a.mp4' })
    const category = await app.ask({ ...request, url: '/v1/files/a.png?category=audio' })
    const guest = await app.ask({ ...request, url: '/v1/files/a.png', token: 'sue:guest' })
    const large = await app.ask({ ...request, url: '/v1/files/a.png', headers: { 'content-length': String(2 ** 40) } })

    expect([video.status, video.code]).toEqual([415, 'TYPE_NOT_ALLOWED'])
    expect([category.status, category.code]).toEqual([422, 'CATEGORY_NOT_ALLOWED'])
    expect([guest.status, guest.code]).toEqual([403, 'ROLE_NOT_ALLOWED'])
    expect([large.status, large.code]).toEqual([413, 'FILE_TOO_LARGE'])
    expect(app.store.objects.size).toBe(0)
  })

  it('with a checksum that does not match stores nothing', async () => {
    const app = await openRest()
    const digest = (of: Buffer) => `sha-256=:${createHash('sha256').update(of).digest('base64')}:`

    const refused = await put(app, 'a.txt', bytes, { 'content-digest': digest(bytes.subarray(1)) })
    const stored = app.store.objects.size + app.store.multiparts.size
    const accepted = await put(app, 'a.txt', bytes, { 'content-digest': digest(bytes) })

    expect([refused.status, refused.code, stored]).toEqual([460, 'CHECKSUM_MISMATCH', 0])
    expect(accepted.status).toBe(201)
  })

  it('with Content-Range is refused', async () => {
    const app = await openRest()

    const answer = await put(app, 'a.txt', bytes, { 'content-range': 'bytes 0-46/100' })

    expect([answer.status, answer.code]).toEqual([400, 'INVALID_REQUEST'])
  })

  it('stores nothing when the store fails, and is answered with 503', async () => {
    const app = await openRest()
    app.store.fault = (call) => {
      if (call === 'completeMultipart') throw unavailable()
    }

    const answer = await put(app, 'a.txt', bytes)

    expect([answer.status, answer.code]).toEqual([503, 'STORE_UNAVAILABLE'])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(app.store.objects.size + app.store.multiparts.size).toBe(0)
    const { uploads } = (await app.ask({ url: '/v1/uploads?limit=1' })).body
    expect(uploads[0].state).toBe('cancelled')
  })
})

describe('files in a form', () => {
  it('are stored with their own names and types, in the category of the form', async () => {
    const app = await openRest()

    const answer = await post(
      app,
      formOf([
        { name: 'userId', value: 'ada' },
        { name: 'category', value: 'other' },
        { name: 'a', filename: 'one.txt', type: 'text/plain', value: bytes },
        { name: 'b', filename: 'zwei ü.bin', type: 'application/octet-stream', value: bytes.subarray(0, 10) },
        { name: 'b', filename: 'none', type: 'image/png', value: '' },
      ]),
    )

    expect(answer.status).toBe(201)
    expect(answer.body.uploads).toMatchObject([
      { filename: 'one.txt', contentType: 'text/plain', category: 'other', state: 'completed', size: 47 },
      { filename: 'zwei ü.bin', contentType: 'application/octet-stream', size: 10 },
      { filename: 'none', contentType: 'image/png', size: 0 },
    ])
    const stored = answer.body.uploads.map(({ key }: { key: string }) => app.store.objects.get(key))
    expect(stored).toEqual([bytes, bytes.subarray(0, 10), Buffer.alloc(0)])
  })

  it('may be larger than every buffer of the server', async () => {
    const app = await openRest({ partSize: 256 * 1024 })
    const large = randomBytes(3 * 1024 ** 2)

    const answer = await post(app, formOf([1, 2].map((n) => ({ name: 'f', filename: `${n}.txt`, value: large }))))

    expect(answer.status).toBe(201)
    for (const { key } of answer.body.uploads) expect(app.store.objects.get(key)?.equals(large)).toBe(true)
  })

  const file = { name: 'f', filename: 'a.txt', type: 'text/plain', value: bytes }
  it.each([
    ['a file that the role may not send', [file, { ...file, type: 'video/mp4' }], 415, 'TYPE_NOT_ALLOWED'],
    ['a file without a name', [file, { ...file, filename: '' }], 400, 'INVALID_FIELD'],
    ['a category after a file', [file, { name: 'category', value: 'other' }], 400, 'INVALID_FIELD'],
    ['another user', [{ name: 'userId', value: 'eve' }, file], 403, 'FORBIDDEN'],
    ['another role', [{ name: 'userRole', value: 'creator' }, file], 403, 'FORBIDDEN'],
    ['a field that is too long', [file, { name: 'x', value: 'x'.repeat(5000) }], 400, 'INVALID_FIELD'],
    ['no file', [{ name: 'category', value: 'other' }], 400, 'MISSING_FIELD'],
    ['too many files', Array.from({ length: 21 }, () => file), 400, 'INVALID_REQUEST'],
    ['too many fields', Array.from({ length: 21 }, () => ({ name: 'x', value: '' })), 400, 'INVALID_REQUEST'],
  ])('are all rejected with %s', async (_what, parts, status, code) => {
    const app = await openRest()

    const answer = await app.ask({
      method: 'POST',
      url: '/v1/files',
      payload: formOf(parts),
      headers: { 'content-type': 'multipart/form-data; boundary=b0' },
      token: 'sue:subscriber',
    })
    await app.engine.drained()

    expect([answer.status, answer.code]).toEqual([status, code])
    expect(app.store.objects.size + app.store.multiparts.size).toBe(0)
  })

  it.each([
    ['has no end', formOf([file], '')],
    ['breaks off in a header', formOf([file], '--b0\r\nContent-Disp')],
    ['breaks off in a file', formOf([{ ...file, value: bytes.subarray(0, 20) }], '').subarray(0, -2)],
    ['has another boundary than its content type', Buffer.from('--b1\r\n\r\n--b1--\r\n')],
    ['is empty', Buffer.alloc(0)],
    ['has a part without a name', formOf([file], '--b0\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b0--\r\n')],
    [
      'has a part that is no form data',
      formOf([file], '--b0\r\nContent-Disposition: attachment; filename="a"\r\n\r\nhello\r\n--b0--\r\n'),
    ],
  ])('are all rejected when the form %s', async (_what, payload) => {
    const app = await openRest()

    const answer = await post(app, payload)

    expect(answer.status).toBe(400)
    expect(app.store.objects.size + app.store.multiparts.size).toBe(0)
  })

  it.each([
    ['multipart/form-data', 415],
    ['multipart/form-data; charset=utf-8', 400],
    ['application/json', 415],
    ['', 415],
  ])('are refused with the content type "%s"', async (type, status) => {
    const app = await openRest()

    expect((await post(app, formOf([file]), type)).status).toBe(status)
  })
})

describe('text around the files of a form', () => {
  const file = formOf([{ name: 'file', filename: 'a.txt', type: 'text/plain', value: 'hello' }])
  const tooLong = 2 * 1024 ** 2

  it.each([
    ['before the first boundary', Buffer.concat([Buffer.alloc(tooLong, 'x'), Buffer.from('\r\n'), file])],
    ['after the last boundary', Buffer.concat([file, Buffer.alloc(tooLong, 'x')])],
  ])('is limited %s', async (_where, payload) => {
    const app = await openRest()

    const answer = await post(app, payload)

    expect([answer.status, answer.body.error?.code]).toEqual([400, 'INVALID_REQUEST'])
    expect(app.store.objects.size).toBe(0)
  })

  it('may be short, as some clients send it', async () => {
    const app = await openRest()

    const answer = await post(app, Buffer.concat([Buffer.from('for old readers\r\n'), file, Buffer.from('the end')]))

    expect(answer.status).toBe(201)
  })

  it('is limited without counting the bytes of the files', async () => {
    const app = await openRest()
    const value = randomBytes(3 * 1024 ** 2)

    const answer = await post(app, formOf([{ name: 'file', filename: 'a.bin', value }]))

    expect([answer.status, answer.body.uploads?.[0]?.size]).toEqual([201, value.length])
  })
})
