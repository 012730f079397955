import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { bearer } from '../../support/build-test-app.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { chunk, codeOf, serve as serveOn } from './serve.ts'

describe.each(protocolStores)('tus, the core, with files in %s', (kind) => {
  const serve = () => serveOn({ kind })

  describe('Upload-Offset and Upload-Length', () => {
    it.each(['-1', '+1', '1.0', '1e3', '0x10', '01', '1 0', 'ten', '', '99999999999999999999'])(
      'refuses "%s" as Upload-Offset',
      async (offset) => {
        const server = await serve()
        const path = await server.create(25)

        const answer = await server.patch(path, offset, 'hello')

        expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
        expect((await server.uploadAt(path)).offset).toBe(0)
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

    it('refuses a PATCH without Upload-Offset', async () => {
      const server = await serve()
      const path = await server.create(25)

      const answer = await server.ask({ method: 'PATCH', path, headers: chunk, body: 'hello' })

      expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
    })

    it('returns exactly the length that the client sent', async () => {
      const server = await serve()
      const path = await server.create(9_876_543_210)

      expect((await server.head(path)).headers['upload-length']).toBe('9876543210')
    })
  })

  describe('Tus-Resumable', () => {
    it.each(['0.2.2', '1.0', '2.0.0', null])(
      'with the value %s is answered with 412 and Tus-Version',
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
        expect((await server.uploadAt(path)).offset).toBe(0)
      },
    )

    it('with an unsupported version creates no upload', async () => {
      const server = await serve()

      const by = userOf(randomUUID(), 'creator')
      const headers = { ...bearer(`${by.id}:creator`), 'upload-length': 5, 'tus-resumable': '9.9.9' }

      await server.ask({ method: 'POST', path: '/files', headers })

      expect(await server.engine.list(by, { limit: 10 })).toEqual([])
    })

    it('is in every answer, errors too', async () => {
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
      'lists version, extensions and limits for headers %j',
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
    it.each(['POST', 'PUT', 'GET', 'DELETE'])('turns a %s into a PATCH', async (method) => {
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

    it('turns a POST into a HEAD, an OPTIONS or a DELETE', async () => {
      const server = await serve()
      const path = await server.create(5)
      const postAs = (method: string) =>
        server.ask({ method: 'POST', path, headers: { 'x-http-method-override': method }, body: '' })

      expect((await postAs('HEAD')).headers).toMatchObject({ 'upload-offset': '0', 'upload-length': '5' })
      expect((await postAs('OPTIONS')).headers).toMatchObject({ 'tus-version': '1.0.0' })
      expect((await postAs('delete')).status).toBe(204)
      expect((await postAs('HEAD')).status).toBe(410)
    })

    it('turns a DELETE into a HEAD, which deletes nothing', async () => {
      const server = await serve()
      const path = await server.create(5)

      await server.ask({ method: 'DELETE', path, headers: { 'x-http-method-override': 'HEAD' } })

      expect((await server.head(path)).status).toBe(200)
    })

    it('does not bypass authentication', async () => {
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

    it('refuses a method that tus does not have', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.ask({ method: 'POST', path, headers: { 'x-http-method-override': 'GET' }, body: '' })

      expect([answer.status, codeOf(answer)]).toEqual([405, 'METHOD_NOT_ALLOWED'])
    })
  })

  describe('HEAD', () => {
    it('answers the offset of an empty, a partial and a complete upload', async () => {
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

    it('is never cached, also for an unknown upload', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answers = [await server.head(path), await server.head(`/files/${randomUUID()}`)]

      expect(answers.map(({ headers }) => headers['cache-control'])).toEqual(['no-store', 'no-store'])
    })

    it.each([
      ['an unknown id', () => `/files/${randomUUID()}`],
      ['an invalid id', () => '/files/..%2F..%2Fetc'],
      ['no id', () => '/files/'],
      ['a deeper path', () => `/files/${randomUUID()}/info`],
      ['a deeper path without an id', () => '/files/a/b/c'],
    ])('with %s is 404 and has no offset', async (_, path) => {
      const server = await serve()

      const answer = await server.head(path())

      expect(answer.status).toBe(404)
      expect(answer.headers).not.toHaveProperty('upload-offset')
    })
  })

  describe('PATCH', () => {
    it('appends the bytes at the offset and answers the new offset', async () => {
      const server = await serve()
      const bytes = randomBytes(100_003)
      const path = await server.create(bytes.length)

      const first = await server.patch(path, 0, bytes.subarray(0, 60_001))
      const second = await server.patch(path, 60_001, bytes.subarray(60_001))

      expect([first.status, first.headers['upload-offset'], first.body]).toEqual([204, '60001', ''])
      expect([second.status, second.headers['upload-offset']]).toEqual([204, '100003'])
      expect(await server.objectOf(path)).toEqual(bytes)
    })

    it('takes a body of unknown length', async () => {
      const server = await serve()
      const path = await server.create(8)
      const headers = { ...chunk, 'upload-offset': 0, 'transfer-encoding': 'chunked' }

      const answer = await server.ask({ method: 'PATCH', path, headers, body: '5\r\nhello\r\n3\r\n wo\r\n0\r\n\r\n' })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([204, '8'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello wo'))
    })

    it('takes an empty body', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.patch(path, 0, '')

      expect([answer.status, answer.headers['upload-offset']]).toEqual([204, '0'])
    })

    it.each(['text/plain', 'application/octet-stream', 'application/x-www-form-urlencoded', 'nonsense', null])(
      'with the content type %s is 415',
      async (type) => {
        const server = await serve()
        const path = await server.create(5)

        const answer = await server.patch(path, 0, 'hello', { 'content-type': type, 'tus-resumable': '1.0.0' })

        expect([answer.status, codeOf(answer)]).toEqual([415, 'UNSUPPORTED_CONTENT_TYPE'])
        expect((await server.uploadAt(path)).offset).toBe(0)
      },
    )

    it('ignores case and parameters of its content type', async () => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.patch(path, 0, 'hello', { 'content-type': 'Application/Offset+octet-stream; q=1' })

      expect(answer.status).toBe(204)
    })

    it.each([2, 4, 100])('at %d where the offset is 3 is 409 with that offset, and changes nothing', async (offset) => {
      const server = await serve()
      const path = await server.create(5)
      await server.patch(path, 0, 'hel')

      const answer = await server.patch(path, offset, 'xx')

      expect([answer.status, codeOf(answer), answer.headers['upload-offset']]).toEqual([409, 'OFFSET_MISMATCH', '3'])
      await server.patch(path, 3, 'lo')
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
    })

    it('of an unknown upload is 404', async () => {
      const server = await serve()

      const answer = await server.patch(`/files/${randomUUID()}`, 0, 'hello')

      expect([answer.status, codeOf(answer)]).toEqual([404, 'UPLOAD_NOT_FOUND'])
    })

    it('never stores more than Upload-Length', async () => {
      const server = await serve()
      const path = await server.create(5)
      const headers = { ...chunk, 'upload-offset': 0, 'transfer-encoding': 'chunked' }

      const sized = await server.patch(path, 0, 'hello world')
      const chunked = await server.ask({ method: 'PATCH', path, headers, body: 'b\r\nhello world\r\n0\r\n\r\n' })
      const { offset } = await server.uploadAt(path)

      expect([sized.status, codeOf(sized)]).toEqual([400, 'LENGTH_MISMATCH'])
      expect([chunked.status, codeOf(chunked)]).toEqual([400, 'LENGTH_MISMATCH'])
      expect(offset).toBeLessThanOrEqual(5)
    })

    it.each<[string, string, number]>([
      ['an empty file', '', 0],
      ['a complete file', 'hello', 5],
    ])('without bytes at the end of %s is 204, however it is framed', async (_, bytes, size) => {
      const server = await serve()
      const path = await server.create(size)
      if (size > 0) await server.patch(path, 0, bytes)
      const end = { ...chunk, 'upload-offset': size }
      const chunked = { ...end, 'transfer-encoding': 'chunked' }
      const noChunks = '0\r\n\r\n'

      const answers = [
        await server.ask({ method: 'PATCH', path, headers: end }),
        await server.ask({ method: 'PATCH', path, headers: end, body: '' }),
        await server.ask({ method: 'PATCH', path, headers: chunked, body: noChunks }),
        await server.ask({ method: 'PATCH', path, headers: { ...chunked, expect: '100-continue' }, body: noChunks }),
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
          body: noChunks,
        }),
      ]

      for (const answer of answers)
        expect([answer.status, answer.headers['upload-offset']]).toEqual([204, String(size)])
      expect(await server.objectOf(path)).toEqual(Buffer.from(bytes))
    })

    it('with a chunked body for a complete file is 409 and changes nothing', async () => {
      const server = await serve()
      const path = await server.create(5)
      await server.patch(path, 0, 'hello')

      const headers = { ...chunk, 'upload-offset': 5, 'transfer-encoding': 'chunked' }
      const answer = await server.ask({ method: 'PATCH', path, headers, body: '1\r\n!\r\n0\r\n\r\n' })

      expect([answer.status, codeOf(answer), answer.headers['upload-offset']]).toEqual([409, 'UPLOAD_COMPLETED', '5'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
    })

    it('of a complete file is 409 and changes nothing', async () => {
      const server = await serve()
      const path = await server.create(5)
      await server.patch(path, 0, 'hello')

      const answer = await server.patch(path, 5, '!')

      expect([answer.status, codeOf(answer), answer.headers['upload-offset']]).toEqual([409, 'UPLOAD_COMPLETED', '5'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
    })
  })

  describe('a client', () => {
    it.each(['HEAD', 'PATCH', 'DELETE'])("gets 404 for a %s of another user's upload", async (method) => {
      const server = await serve()
      const path = await server.create(5)
      const headers = { ...bearer('eve:creator'), ...chunk, 'upload-offset': 0 }

      const answer = await server.ask({ method, path, headers, body: '' })

      expect(answer.status).toBe(404)
      expect(answer.headers).not.toHaveProperty('upload-offset')
      expect((await server.head(path)).status).toBe(200)
    })

    it('needs a token', async () => {
      const server = await serve()

      const answer = await server.ask({ method: 'POST', path: '/files', headers: { authorization: null } })

      expect([answer.status, codeOf(answer)]).toEqual([401, 'UNAUTHENTICATED'])
    })

    it('cannot GET a file', async () => {
      const server = await serve()
      const path = await server.create(5)
      await server.patch(path, 0, 'hello')

      const answer = await server.ask({ method: 'GET', path })

      expect([answer.status, codeOf(answer)]).toEqual([405, 'METHOD_NOT_ALLOWED'])
      expect(answer.headers['allow']).toBe('OPTIONS, HEAD, POST, PATCH, DELETE')
    })
  })
})
