/* What tus 1.0 asks for on the wire, request by request. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { bearer, buildTestApp } from '../../support/build-test-app.ts'
import { withTus } from '../../support/with-tus.ts'

/** A server, and a user of one's own: the database is shared by the tests of a file. */
const open = async () => ({ ...(await buildTestApp(withTus)), user: randomUUID() })
type Served = Awaited<ReturnType<typeof open>>
const tus = { 'tus-resumable': '1.0.0' }
const patchHeaders = { ...tus, 'content-type': 'application/offset+octet-stream' }

async function ask(
  { url, user }: Served,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: Buffer | string,
) {
  return fetch(url + path, {
    method,
    headers: { ...bearer(`${user}:creator`), ...headers },
    ...(body === undefined ? {} : { body: body as never }),
  })
}

async function create(test: Served, headers: Record<string, string> = { 'upload-length': '10' }): Promise<string> {
  const response = await ask(test, 'POST', '/files', { ...tus, ...headers })
  expect(response.status).toBe(201)
  return response.headers.get('location')!
}

const patch = (test: Served, path: string, offset: number, body: Buffer | string, more: Record<string, string> = {}) =>
  ask(test, 'PATCH', path, { ...patchHeaders, 'upload-offset': String(offset), ...more }, body)
const head = (test: Served, path: string) => ask(test, 'HEAD', path, tus)
const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')

describe('the version', () => {
  it.each([{}, { 'tus-resumable': '0.2.2' }, { 'tus-resumable': '1.0.1' }])(
    'is asked for: %j is 412 and nothing happens',
    async (headers) => {
      const test = await open()

      const response = await ask(test, 'POST', '/files', { 'upload-length': '10', ...headers } as Record<
        string,
        string
      >)

      expect(response.status).toBe(412)
      expect(response.headers.get('tus-version')).toBe('1.0.0')
      expect(response.headers.get('tus-resumable')).toBe('1.0.0')
      expect(await test.engine.list({ id: test.user, role: 'creator' }, { limit: 5 })).toEqual([])
    },
  )

  it('and what the server knows is told to whoever asks, without a token or a version', async () => {
    const { url } = await open()

    const response = await fetch(`${url}/files`, { method: 'OPTIONS' })

    expect(response.status).toBe(204)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'tus-version': '1.0.0',
      'tus-max-size': String(10 * 1024 ** 3),
      'tus-checksum-algorithm': 'sha1,sha256,sha512,md5,crc32',
    })
    expect(response.headers.get('tus-extension')?.split(',')).toEqual(
      expect.arrayContaining([
        'creation',
        'creation-with-upload',
        'creation-defer-length',
        'expiration',
        'termination',
        'checksum',
        'checksum-trailer',
        'concatenation',
      ]),
    )
  })
})

describe('creation', () => {
  it.each<[string, Record<string, string>, number]>([
    ['neither length nor deferral', {}, 400],
    ['both', { 'upload-length': '1', 'upload-defer-length': '1' }, 400],
    ['a deferral other than 1', { 'upload-defer-length': '2' }, 400],
    ['a negative length', { 'upload-length': '-1' }, 400],
    ['a length with a sign', { 'upload-length': '+1' }, 400],
    ['a length in hexadecimal', { 'upload-length': '0x10' }, 400],
    ['a length with a point', { 'upload-length': '1.0' }, 400],
    ['a length beyond counting', { 'upload-length': '9007199254740993' }, 400],
    ['a length beyond the limit', { 'upload-length': String(11 * 1024 ** 3) }, 413],
    ['metadata that is not Base64', { 'upload-length': '1', 'upload-metadata': 'a b!' }, 400],
    ['metadata with a key twice', { 'upload-length': '1', 'upload-metadata': 'a YQ==,a YQ==' }, 400],
    ['metadata without a key', { 'upload-length': '1', 'upload-metadata': 'a YQ==,,b YQ==' }, 400],

    ['a concatenation that is none', { 'upload-length': '1', 'upload-concat': 'both' }, 400],
  ])('with %s is refused in our form', async (_, headers, status) => {
    const test = await open()

    const response = await ask(test, 'POST', '/files', { ...tus, ...headers })

    expect(response.status).toBe(status)
    expect(await response.json()).toEqual({
      error: { code: expect.any(String), message: expect.any(String), timestamp: expect.any(String) },
    })
  })

  it('keeps metadata to the byte, whatever bytes they are', async () => {
    const test = await open()
    const said = `filename ${base64('räksmörgås.txt')},raw ${base64(Buffer.from([0, 255, 13, 10, 128]))},flag,empty `

    const path = await create(test, { 'upload-length': '10', 'upload-metadata': said.trimEnd() })

    expect((await head(test, path)).headers.get('upload-metadata')).toBe(said.trimEnd())
  })

  it('takes the first bytes along, and says how many it has', async () => {
    const test = await open()

    const response = await ask(test, 'POST', '/files', { ...patchHeaders, 'upload-length': '10' }, 'abcd')

    expect(response.status).toBe(201)
    expect(response.headers.get('upload-offset')).toBe('4')
    expect(response.headers.get('upload-expires')).toMatch(/GMT$/)
    expect((await head(test, response.headers.get('location')!)).headers.get('upload-offset')).toBe('4')
  })

  it('leaves the length open until it is told, and then it stays', async () => {
    const test = await open()
    const path = await create(test, { 'upload-defer-length': '1' })
    expect((await head(test, path)).headers.get('upload-defer-length')).toBe('1')

    await patch(test, path, 0, 'abc', { 'upload-length': '6' })
    const other = await patch(test, path, 3, 'def', { 'upload-length': '7' })

    expect(other.status).toBe(400)
    const answer = await head(test, path)
    expect(answer.headers.get('upload-length')).toBe('6')
    expect(answer.headers.get('upload-offset')).toBe('3')
    expect(answer.headers.has('upload-defer-length')).toBe(false)
  })
})

describe('sending', () => {
  it('is answered with the new offset and the time until which it is kept; HEAD says the same and is not cached', async () => {
    const test = await open()
    const path = await create(test)

    const response = await patch(test, path, 0, 'abcd')
    const answer = await head(test, path)

    expect([response.status, response.headers.get('upload-offset')]).toEqual([204, '4'])
    expect(new Date(response.headers.get('upload-expires')!).getTime()).toBeGreaterThan(Date.now())
    expect(answer.status).toBe(200)
    expect(answer.headers.get('upload-offset')).toBe('4')
    expect(answer.headers.get('upload-length')).toBe('10')
    expect(answer.headers.get('cache-control')).toBe('no-store')
  })

  it.each<[string, (test: Served, path: string) => Promise<Response>, number]>([
    ['at another offset', (test, path) => patch(test, path, 3, 'abc'), 409],
    ['with another content type', (test, path) => patch(test, path, 0, 'abc', { 'content-type': 'text/plain' }), 415],
    ['without an offset', (test, path) => ask(test, 'PATCH', path, patchHeaders, 'abc'), 400],
    ['at an offset that is none', (test, path) => patch(test, path, 0, 'abc', { 'upload-offset': '0x0' }), 400],
    ['of more than the length', (test, path) => patch(test, path, 0, 'abcdefghijk'), 400],
    ['to nobody', (test) => patch(test, '/files/00000000-0000-4000-8000-000000000000', 0, 'abc'), 404],
    ['to an id that is none', (test) => patch(test, '/files/..%2f..%2fetc', 0, 'abc'), 404],
  ])('%s changes nothing', async (_, send, status) => {
    const test = await open()
    const path = await create(test)

    const response = await send(test, path)

    expect(response.status).toBe(status)
    expect(response.headers.get('tus-resumable')).toBe('1.0.0')
    if (status === 409) expect(response.headers.get('upload-offset')).toBe('0')
    expect((await head(test, path)).headers.get('upload-offset')).toBe('0')
  })

  it.each(['POST', 'GET', 'DELETE'])(
    'goes by %s with a method override, and the real method counts for nothing',
    async (method) => {
      const test = await open()
      const path = await create(test)

      const response = await ask(
        test,
        method,
        path,
        { ...patchHeaders, 'upload-offset': '0', 'x-http-method-override': 'PATCH' },
        method === 'GET' ? undefined : 'abcd',
      )

      expect(response.status).toBe(204)
      expect((await head(test, path)).headers.get('upload-offset')).toBe(method === 'GET' ? '0' : '4')
    },
  )

  it('of an upload is not read here', async () => {
    const test = await open()

    expect((await ask(test, 'GET', await create(test), tus)).status).toBe(405)
  })
})

describe('a checksum', () => {
  const sums = (bytes: Buffer): [string, string][] => [
    ['sha1', createHash('sha1').update(bytes).digest('base64')],
    ['sha256', createHash('sha256').update(bytes).digest('base64')],
    ['sha512', createHash('sha512').update(bytes).digest('base64')],
    ['md5', createHash('md5').update(bytes).digest('base64')],
  ]

  it.each(['sha1', 'sha256', 'sha512', 'md5'])(
    'by %s that is right counts, one that is wrong changes nothing, over part borders too',
    async (algorithm) => {
      const test = await open()
      const bytes = randomBytes(200_000)
      const sum = sums(bytes).find(([name]) => name === algorithm)![1]
      const path = await create(test, { 'upload-length': '300000' })

      const wrong = await patch(test, path, 0, randomBytes(200_000), { 'upload-checksum': `${algorithm} ${sum}` })
      const between = (await head(test, path)).headers.get('upload-offset')
      const right = await patch(test, path, 0, bytes, { 'upload-checksum': `${algorithm} ${sum}` })

      expect([wrong.status, between, right.status]).toEqual([460, '0', 204])
      expect((await head(test, path)).headers.get('upload-offset')).toBe('200000')
    },
  )

  it.each(['sha3 YQ==', 'sha1', 'sha1 !', 'SHA1 YQ=='])('of %j is 400', async (said) => {
    const test = await open()
    const path = await create(test)

    expect((await patch(test, path, 0, 'abc', { 'upload-checksum': said })).status).toBe(400)
    expect((await head(test, path)).headers.get('upload-offset')).toBe('0')
  })

  it('that is wrong at a creation makes no upload', async () => {
    const test = await open()

    const response = await ask(
      test,
      'POST',
      '/files',
      { ...patchHeaders, 'upload-length': '3', 'upload-checksum': `sha1 ${base64('no')}` },
      'abc',
    )

    expect(response.status).toBe(460)
    const states = (await test.engine.list({ id: test.user, role: 'creator' }, { limit: 5 })).map(
      (upload) => upload.state,
    )
    expect(states.filter((state) => state !== 'cancelled')).toEqual([])
  })
})

describe('termination', () => {
  it.each([
    ['an unfinished upload', 'abc'],
    ['a finished one', 'abcdefghij'],
  ])('of %s frees it, and it is gone for every verb', async (_, body) => {
    const test = await open()
    const path = await create(test)
    await patch(test, path, 0, body)

    expect((await ask(test, 'DELETE', path, tus)).status).toBe(204)

    expect((await head(test, path)).status).toBe(410)
    expect((await patch(test, path, 0, 'abc')).status).toBe(410)
    expect((await ask(test, 'DELETE', path, tus)).status).toBe(410)
    for await (const key of test.store.list('')) expect.fail(`${key} is left`)
  })
})

describe('a page on another origin', () => {
  it('may ask first without a token, and read every answer, refusals too', async () => {
    const { url } = await open()
    const origin = 'https://app.example'

    const preflight = await fetch(`${url}/files`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'tus-resumable,authorization',
      },
    })
    const refused = await fetch(`${url}/files`, { method: 'POST', headers: { origin, ...tus, 'upload-length': '1' } })

    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PATCH')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Upload-Metadata')
    expect(refused.status).toBe(401)
    expect(refused.headers.get('access-control-allow-origin')).toBe('*')
    expect(refused.headers.get('access-control-expose-headers')).toContain('Upload-Expires')
  })
})

describe('concatenation', () => {
  it('of two partial uploads is the file, and HEAD says how it came about', async () => {
    const test = await open()
    const [a, b] = [
      await create(test, { 'upload-length': '3', 'upload-concat': 'partial' }),
      await create(test, { 'upload-length': '2', 'upload-concat': 'partial' }),
    ]
    await patch(test, a, 0, 'abc')
    await patch(test, b, 0, 'de')
    expect((await head(test, a)).headers.get('upload-concat')).toBe('partial')

    const said = `final;${a} ${test.url}${b}`
    const path = await create(test, { 'upload-concat': said })
    const answer = await head(test, path)

    expect(answer.headers.get('upload-concat')).toBe(said)
    expect([answer.headers.get('upload-offset'), answer.headers.get('upload-length')]).toEqual(['5', '5'])
    expect((await patch(test, path, 5, 'f')).status).toBe(403)
  })

  it('asked for early has no offset yet, and a length as soon as it can be told', async () => {
    const test = await open()
    const a = await create(test, { 'upload-length': '3', 'upload-concat': 'partial' })

    const path = await create(test, { 'upload-concat': `final;${a}` })
    const early = await head(test, path)
    await patch(test, a, 0, 'abc')

    expect([early.headers.get('upload-offset'), early.headers.get('upload-length')]).toEqual([null, '3'])
    expect((await head(test, path)).headers.get('upload-offset')).toBe('3')
  })

  it.each([
    'final;',
    'final;/files/nobody',
    'final;/other/00000000-0000-4000-8000-000000000000',
    'final;http://[',
    'final;/files/00000000-0000-4000-8000-000000000000',
  ])('of %j is refused', async (said) => {
    const test = await open()

    const response = await ask(test, 'POST', '/files', { ...tus, 'upload-concat': said })

    expect([400, 404]).toContain(response.status)
  })
})
