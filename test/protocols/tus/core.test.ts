import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { bearer } from '../../support/build-test-app.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { chunk, codeOf, serve as serveOn } from './serve.ts'

describe.each(protocolStores)('tus, the core, with files in %s', (kind) => {
  const serve = () => serveOn({ kind })

  describe('numbers', () => {
    it.each(['-1', '+1', '1.0', '1e3', '0x10', '01', '1 0', 'ten', '', '99999999999999999999'])(
      'refuses "%s" as Upload-Offset',
      async (offset) => {
        const server = await serve()
        const path = await server.create(25)

        const answer = await server.patch(path, offset, 'hello')

        expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
        expect((await server.sessionOf(path)).offset).toBe(0)
      },
    )

    it.each(['-1', '+1', '1.0', '1e3', '0x10', '01', '1 0', 'ten', ''])(
      'refuses "%s" as Upload-Length',
      async (length) => {
        const server = await serve()

        const answer = await server.ask({ method: 'POST', path: '/files', headers: { 'upload-length': length } })

        expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
      },
    )

    it('refuses a PATCH that does not say where it starts', async () => {
      const server = await serve()
      const path = await server.create(25)

      const answer = await server.ask({ method: 'PATCH', path, headers: chunk, body: 'hello' })

      expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
    })

    it('gives back the length exactly as it was told', async () => {
      const server = await serve()
      const path = await server.create(9_876_543_210)

      expect((await server.head(path)).headers['upload-length']).toBe('9876543210')
    })
  })

  describe('the version', () => {
    it.each(['0.2.2', '1.0', '2.0.0', null])(
      'answers Tus-Resumable %s with 412 and the version it speaks',
      async (version) => {
        const server = await serve()
        const path = await server.create(25)

        const answer = await server.ask({
          method: 'POST',
          path,
          headers: {
            ...chunk,
            'tus-resumable': version,
            'x-http-method-override': 'PATCH',
            'upload-offset': 0,
          },
          body: 'hello',
        })

        expect([answer.status, codeOf(answer)]).toEqual([412, 'PRECONDITION_FAILED'])
        expect(answer.headers).toMatchObject({ 'tus-version': '1.0.0', 'tus-resumable': '1.0.0' })
        expect((await server.sessionOf(path)).offset).toBe(0)
      },
    )

    it('does not create what a 412 was the answer to', async () => {
      const server = await serve()

      const by = userOf(randomUUID(), 'creator')
      const headers = { ...bearer(`${by.id}:creator`), 'upload-length': 5, 'tus-resumable': '9.9.9' }

      await server.ask({ method: 'POST', path: '/files', headers })

      expect(await server.engine.list(by, { limit: 10 })).toEqual([])
    })

    it('is in every answer, whatever it says', async () => {
      const server = await serve()
      const path = await server.create(25)
      const requests = [
        { method: 'POST', path: '/files', headers: { 'upload-length': 5 } },
        { method: 'POST', path: '/files', headers: { 'upload-length': 'x' } },
        { method: 'HEAD', path },
        { method: 'HEAD', path: `/files/${randomUUID()}` },
        { method: 'PATCH', path, headers: { ...chunk, 'upload-offset': 0 }, body: 'hello' },
        { method: 'PATCH', path, headers: { ...chunk, 'upload-offset': 9 }, body: 'hello' },
        { method: 'GET', path },
        { method: 'HEAD', path, headers: { authorization: null } },
        { method: 'DELETE', path },
        { method: 'DELETE', path },
      ]

      const answers = []
      for (const request of requests) answers.push(await server.ask(request))

      expect(answers.map(({ status }) => status)).toEqual([201, 400, 200, 404, 204, 409, 405, 401, 204, 410])
      expect(new Set(answers.map(({ headers }) => headers['tus-resumable']))).toEqual(new Set(['1.0.0']))
    })
  })

  describe('OPTIONS', () => {
    it.each([{}, { 'tus-resumable': '0.1.0' }, { authorization: null, 'tus-resumable': null }])(
      'tells what is spoken, to %j as well',
      async (headers) => {
        const server = await serve()

        const answer = await server.ask({ method: 'OPTIONS', path: '/files', headers })

        expect(answer.status).toBe(204)
        expect(answer.headers).toMatchObject({
          'tus-version': '1.0.0',
          'tus-max-size': String(10 * 1024 ** 3),
          'tus-checksum-algorithm': 'sha1,sha256,sha512,md5,crc32',
        })
        expect(answer.headers['tus-extension']?.split(',')).toEqual([
          'creation',
          'creation-with-upload',
          'creation-defer-length',
          'expiration',
          'termination',
          'checksum',
          'checksum-trailer',
          'concatenation',
          'concatenation-unfinished',
        ])
        expect(answer.headers).not.toHaveProperty('tus-resumable')
      },
    )
  })

  describe('X-HTTP-Method-Override', () => {
    it.each(['POST', 'PUT', 'GET', 'DELETE'])('makes a %s a PATCH', async (method) => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.ask({
        method,
        path,
        headers: { ...chunk, 'x-http-method-override': 'PATCH', 'upload-offset': 0 },
        body: 'hello',
      })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([204, '5'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
    })

    it('makes a POST a HEAD, a DELETE, an OPTIONS', async () => {
      const server = await serve()
      const path = await server.create(5)
      const as = (method: string) =>
        server.ask({ method: 'POST', path, headers: { 'x-http-method-override': method }, body: '' })

      expect((await as('HEAD')).headers).toMatchObject({ 'upload-offset': '0', 'upload-length': '5' })
      expect((await as('OPTIONS')).headers).toMatchObject({ 'tus-version': '1.0.0' })
      expect((await as('delete')).status).toBe(204)
      expect((await as('HEAD')).status).toBe(410)
    })

    it('makes a DELETE harmless', async () => {
      const server = await serve()
      const path = await server.create(5)

      await server.ask({ method: 'DELETE', path, headers: { 'x-http-method-override': 'HEAD' } })

      expect((await server.head(path)).status).toBe(200)
    })

    it('opens no door without a token', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.ask({
        method: 'OPTIONS',
        path,
        headers: { 'x-http-method-override': 'DELETE', authorization: null },
      })

      expect([answer.status, codeOf(answer)]).toEqual([401, 'UNAUTHENTICATED'])
      expect((await server.head(path)).status).toBe(200)
    })

    it('cannot name a method that tus does not know', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.ask({ method: 'POST', path, headers: { 'x-http-method-override': 'GET' }, body: '' })

      expect([answer.status, codeOf(answer)]).toEqual([405, 'METHOD_NOT_ALLOWED'])
    })
  })

  describe('HEAD', () => {
    it('always tells the offset: of nothing, of something, of everything', async () => {
      const server = await serve()
      const path = await server.create(5)
      const offsets = [(await server.head(path)).headers['upload-offset']]
      await server.patch(path, 0, 'hel')
      offsets.push((await server.head(path)).headers['upload-offset'])
      await server.patch(path, 3, 'lo')

      const whole = await server.head(path)

      expect([...offsets, whole.headers['upload-offset']]).toEqual(['0', '3', '5'])
      expect(whole).toMatchObject({ status: 200, body: '', headers: { 'upload-length': '5' } })
    })

    it('is never cached, also when there is nothing', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answers = [await server.head(path), await server.head(`/files/${randomUUID()}`)]

      expect(answers.map(({ headers }) => headers['cache-control'])).toEqual(['no-store', 'no-store'])
    })

    it.each([
      ['unknown', () => `/files/${randomUUID()}`],
      ['impossible', () => '/files/..%2F..%2Fetc'],
      ['unspoken', () => '/files/'],
      ['deeper', () => `/files/${randomUUID()}/info`],
      ['deeper, impossible', () => '/files/a/b/c'],
    ])('of an %s upload is 404 and tells no offset', async (_, path) => {
      const server = await serve()

      const answer = await server.head(path())

      expect(answer.status).toBe(404)
      expect(answer.headers).not.toHaveProperty('upload-offset')
    })
  })

  describe('PATCH', () => {
    it('applies the bytes at the offset and tells the new one', async () => {
      const server = await serve()
      const bytes = randomBytes(100_003)
      const path = await server.create(bytes.length)

      const first = await server.patch(path, 0, bytes.subarray(0, 60_001))
      const second = await server.patch(path, 60_001, bytes.subarray(60_001))

      expect([first.status, first.headers['upload-offset'], first.body]).toEqual([204, '60001', ''])
      expect([second.status, second.headers['upload-offset']]).toEqual([204, '100003'])
      expect(await server.objectOf(path)).toEqual(bytes)
    })

    it('takes a body of which nobody said how long it is', async () => {
      const server = await serve()
      const path = await server.create(8)
      const headers = { ...chunk, 'upload-offset': 0, 'transfer-encoding': 'chunked' }

      const answer = await server.ask({ method: 'PATCH', path, headers, body: '5\r\nhello\r\n3\r\n wo\r\n0\r\n\r\n' })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([204, '8'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello wo'))
    })

    it('takes a body of no bytes', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.patch(path, 0, '')

      expect([answer.status, answer.headers['upload-offset']]).toEqual([204, '0'])
    })

    it.each(['text/plain', 'application/octet-stream', 'application/x-www-form-urlencoded', 'nonsense', null])(
      'of %s is 415',
      async (type) => {
        const server = await serve()
        const path = await server.create(5)

        const answer = await server.patch(path, 0, 'hello', { 'content-type': type, 'tus-resumable': '1.0.0' })

        expect([answer.status, codeOf(answer)]).toEqual([415, 'UNSUPPORTED_CONTENT_TYPE'])
        expect((await server.sessionOf(path)).offset).toBe(0)
      },
    )

    it('does not mind how its type is spelt', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.patch(path, 0, 'hello', { 'content-type': 'Application/Offset+octet-stream; q=1' })

      expect(answer.status).toBe(204)
    })

    it.each([2, 4, 100])(
      'at %d where 3 is the offset is 409, says where to go on, and changes nothing',
      async (offset) => {
        const server = await serve()
        const path = await server.create(5)
        await server.patch(path, 0, 'hel')

        const answer = await server.patch(path, offset, 'xx')

        expect([answer.status, codeOf(answer), answer.headers['upload-offset']]).toEqual([409, 'OFFSET_MISMATCH', '3'])
        await server.patch(path, 3, 'lo')
        expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
      },
    )

    it('of an unknown upload is 404', async () => {
      const server = await serve()

      const answer = await server.patch(`/files/${randomUUID()}`, 0, 'hello')

      expect([answer.status, codeOf(answer)]).toEqual([404, 'UPLOAD_NOT_FOUND'])
    })

    it('never stores more than the length that was told', async () => {
      const server = await serve()
      const path = await server.create(5)
      const headers = { ...chunk, 'upload-offset': 0, 'transfer-encoding': 'chunked' }

      const stated = await server.patch(path, 0, 'hello world')
      const untold = await server.ask({ method: 'PATCH', path, headers, body: 'b\r\nhello world\r\n0\r\n\r\n' })
      const { offset } = await server.sessionOf(path)

      expect([stated.status, codeOf(stated)]).toEqual([400, 'LENGTH_MISMATCH'])
      expect([untold.status, codeOf(untold)]).toEqual([400, 'LENGTH_MISMATCH'])
      expect(offset).toBeLessThanOrEqual(5)
    })

    it.each<[string, string, number]>([
      ['an empty file', '', 0],
      ['a file that was sent', 'hello', 5],
    ])('without bytes at the end of %s is answered once more, however it is framed', async (_, bytes, size) => {
      const server = await serve()
      const path = await server.create(size)
      if (size > 0) await server.patch(path, 0, bytes)
      const end = { ...chunk, 'upload-offset': size }
      const chunked = { ...end, 'transfer-encoding': 'chunked' }
      const none = '0\r\n\r\n'

      const answers = [
        await server.ask({ method: 'PATCH', path, headers: end }),
        await server.ask({ method: 'PATCH', path, headers: end, body: '' }),
        await server.ask({ method: 'PATCH', path, headers: chunked, body: none }),
        await server.ask({ method: 'PATCH', path, headers: { ...chunked, expect: '100-continue' }, body: none }),
        await server.ask({
          method: 'PATCH',
          path,
          headers: { ...chunked, trailer: 'Upload-Checksum' },
          body: '0\r\nUpload-Checksum: sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=\r\n\r\n',
        }),
        await server.ask({
          method: 'POST',
          path,
          headers: { ...chunked, 'x-http-method-override': 'PATCH' },
          body: none,
        }),
      ]

      for (const answer of answers)
        expect([answer.status, answer.headers['upload-offset']]).toEqual([204, String(size)])
      expect(await server.objectOf(path)).toEqual(Buffer.from(bytes))
    })

    it('that turns out to bring bytes in chunks, of a file that has arrived, is refused and changes nothing', async () => {
      const server = await serve()
      const path = await server.create(5)
      await server.patch(path, 0, 'hello')

      const headers = { ...chunk, 'upload-offset': 5, 'transfer-encoding': 'chunked' }
      const answer = await server.ask({ method: 'PATCH', path, headers, body: '1\r\n!\r\n0\r\n\r\n' })

      expect([answer.status, codeOf(answer), answer.headers['upload-offset']]).toEqual([409, 'UPLOAD_COMPLETED', '5'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
    })

    it('of a file that has arrived is refused and changes nothing', async () => {
      const server = await serve()
      const path = await server.create(5)
      await server.patch(path, 0, 'hello')

      const answer = await server.patch(path, 5, '!')

      expect([answer.status, codeOf(answer), answer.headers['upload-offset']]).toEqual([409, 'UPLOAD_COMPLETED', '5'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
    })
  })

  describe('who asks', () => {
    it.each(['HEAD', 'PATCH', 'DELETE'])('learns nothing by a %s of what belongs to another', async (method) => {
      const server = await serve()
      const path = await server.create(5)
      const headers = { ...bearer('eve:creator'), ...chunk, 'upload-offset': 0 }

      const answer = await server.ask({ method, path, headers, body: '' })

      expect(answer.status).toBe(404)
      expect(answer.headers).not.toHaveProperty('upload-offset')
      expect((await server.head(path)).status).toBe(200)
    })

    it('must have a token', async () => {
      const server = await serve()

      const answer = await server.ask({ method: 'POST', path: '/files', headers: { authorization: null } })

      expect([answer.status, codeOf(answer)]).toEqual([401, 'UNAUTHENTICATED'])
    })

    it('reads no files here', async () => {
      const server = await serve()
      const path = await server.create(5)
      await server.patch(path, 0, 'hello')

      const answer = await server.ask({ method: 'GET', path })

      expect([answer.status, codeOf(answer)]).toEqual([405, 'METHOD_NOT_ALLOWED'])
      expect(answer.headers['allow']).toBe('OPTIONS, HEAD, POST, PATCH, DELETE')
    })
  })
})
