import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { bearer } from '../../support/build-test-app.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { chunk, codeOf, encoded, type Serving, serve as serveOn } from './serve.ts'

const uploadPath = /^\/files\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

describe.each(protocolStores)('tus, Creation, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  describe('POST', () => {
    it.each(['/files', '/files/', '/files?from=page'])(
      'to %s creates an upload and answers its Location',
      async (path) => {
        const server = await serve()

        const answer = await server.ask({ method: 'POST', path, headers: { 'upload-length': 5 } })

        expect([answer.status, answer.body]).toEqual([201, ''])
        expect(answer.headers['location']).toMatch(uploadPath)
        expect((await server.head(answer.headers['location']!)).headers['upload-length']).toBe('5')
      },
    )

    it.each([
      ['https://files.example', 'https://files.example/files/'],
      ['https://files.example/below/', 'https://files.example/below/files/'],
    ])('answers a Location with the public URL %s', async (publicUrl, start) => {
      const server = await serve({ tus: { publicUrl } })

      expect((await server.create(5)).startsWith(start)).toBe(true)
    })

    it('to the URL of an upload is refused: clients do not choose ids', async () => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: `/files/${randomUUID()}`,
        headers: { 'upload-length': 5 },
      })

      expect([answer.status, codeOf(answer)]).toEqual([405, 'METHOD_NOT_ALLOWED'])
    })

    it.each([
      ['no length', {}],
      ['a length and a deferred length', { 'upload-length': 5, 'upload-defer-length': 1 }],
      ['Upload-Defer-Length: 0', { 'upload-defer-length': 0 }],
      ['Upload-Defer-Length: true', { 'upload-defer-length': 'true' }],
      ['Upload-Defer-Length: 2', { 'upload-defer-length': 2 }],
    ])('with %s is 400', async (_, headers) => {
      const server = await serve()

      const answer = await server.ask({ method: 'POST', path: '/files', headers })

      expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
    })

    it('of an empty file completes it at once', async () => {
      const server = await serve()

      const path = await server.create(0)

      expect(await server.objectOf(path)).toEqual(Buffer.alloc(0))
      expect((await server.head(path)).headers).toMatchObject({ 'upload-offset': '0', 'upload-length': '0' })
    })

    it.each(['10737418241', '9007199254740993', '99999999999999999999999'])('of %s bytes is 413', async (length) => {
      const server = await serve()

      const answer = await server.ask({ method: 'POST', path: '/files', headers: { 'upload-length': length } })

      expect([answer.status, codeOf(answer)]).toEqual([413, 'FILE_TOO_LARGE'])
    })

    it('above the maximum of the role is 413, and the message states the limit', async () => {
      const server = await serve()
      const headers = { ...bearer('sue:subscriber'), 'upload-length': 200 * 1024 ** 2 + 1 }
      const asPdf = { 'upload-metadata': `filetype ${encoded('application/pdf')}` }

      const answer = await server.ask({ method: 'POST', path: '/files', headers: { ...headers, ...asPdf } })

      expect(answer.status).toBe(413)
      expect(answer.json()['error']).toMatchObject({ message: 'A subscriber may send at most 200 MiB.' })
    })

    it.each([
      ['a media type', 'video/mp4', undefined, 415, 'TYPE_NOT_ALLOWED'],
      ['a category', 'image/png', 'video', 422, 'CATEGORY_NOT_ALLOWED'],
    ])('with %s that the role may not send is refused', async (_, type, category, status, code) => {
      const server = await serve()
      const metadata = [`filetype ${encoded(type)}`, ...(category ? [`category ${encoded(category)}`] : [])].join(',')

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...bearer('sue:subscriber'), 'upload-length': 5, 'upload-metadata': metadata },
      })

      expect([answer.status, codeOf(answer)]).toEqual([status, code])
      expect(await server.keys()).toEqual([])
    })
  })

  describe('Upload-Metadata', () => {
    const values = [
      'filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential',
      'empty ,filename YQ==',
      'empty,filename YQ==',
      `binary ${encoded(Buffer.from([0, 255, 128, 10, 13, 0]))}`,
      `binary ${encoded(randomBytes(600))},other ${encoded(randomBytes(33))}`,
      'filename YQ==, spaced Yg==',
      'unpadded YQ',
      `!#$%&'*+-.^_|~;:"/?<>[]{}()=@\\ eA==`,
      '__proto__ YQ==,constructor YQ==',
      '',
    ]
    it.each(values)('is returned byte for byte: %s', async (metadata) => {
      const server = await serve()
      const path = await server.create(5, { 'upload-metadata': metadata })

      expect((await server.head(path)).headers['upload-metadata']).toBe(metadata)
    })

    it('is absent when the client sent none', async () => {
      const server = await serve()
      const path = await server.create(5)

      expect((await server.head(path)).headers).not.toHaveProperty('upload-metadata')
    })

    it.each([
      ['a value that is not Base64', 'filename not*base64'],
      ['a value of an impossible length', 'filename YWJjZ'],
      ['padding in the middle', 'filename YQ==YQ=='],
      ['two values', 'filename YQ== Yg=='],
      ['a key twice', 'filename YQ==,filename Yg=='],
      ['an empty key', 'filename YQ==,,other Yg=='],
      ['a key that is not ASCII', 'näme YQ=='],
      ['a control character in a key', 'na\tme YQ=='],
      ['more than 8 KiB', `filename ${'A'.repeat(8192)}`],
      ['a file name that is not UTF-8', `filename ${encoded(Buffer.from([0xc3, 0x28]))}`],
    ])('with %s is refused', async (_, metadata) => {
      const server = await serve()
      const headers = { 'upload-length': 5, 'upload-metadata': metadata }

      const answer = await server.ask({ method: 'POST', path: '/files', headers })

      expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_METADATA'])
    })

    it.each([
      [
        `filename ${encoded('ärger.pdf')},filetype ${encoded('application/pdf')}`,
        'ärger.pdf',
        'application/pdf',
        'document',
      ],
      [`name ${encoded('a.png')},type ${encoded('image/png')}`, 'a.png', 'image/png', 'image'],
      [`filename ${encoded('u\u0308.txt')}`, 'ü.txt', 'application/octet-stream', 'other'],
      [`category ${encoded('document')}`, 'file', 'application/octet-stream', 'document'],
      ['filename ,filetype', 'file', 'application/octet-stream', 'other'],
    ])('sets name, type and category of the file: %s', async (metadata, filename, contentType, category) => {
      const server = await serve()
      const path = await server.create(5, { 'upload-metadata': metadata })

      expect(await server.uploadAt(path)).toMatchObject({ filename, contentType, category })
    })
  })

  describe('Creation With Upload', () => {
    it('keeps the bytes of the body and answers the offset', async () => {
      const server = await serve()
      const headers = { ...chunk, 'upload-length': 11 }

      const answer = await server.ask({ method: 'POST', path: '/files', headers, body: 'hello' })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([201, '5'])
      const path = answer.headers['location']!
      await server.patch(path, 5, ' world')
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello world'))
    })

    it('takes a whole file', async () => {
      const server = await serve()
      const headers = { ...chunk, 'upload-length': 5 }

      const answer = await server.ask({ method: 'POST', path: '/files', headers, body: 'hello' })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([201, '5'])
      expect(answer.headers).not.toHaveProperty('upload-expires')
      expect(await server.objectOf(answer.headers['location']!)).toEqual(Buffer.from('hello'))
    })

    it('takes the first bytes of a file of unknown length', async () => {
      const server = await serve()
      const headers = { ...chunk, 'upload-defer-length': 1 }

      const answer = await server.ask({ method: 'POST', path: '/files', headers, body: 'hello' })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([201, '5'])
    })

    it.each([
      ['Content-Length: 0', { ...chunk, 'upload-length': 0 }, ''],
      ['an empty chunked body', { ...chunk, 'upload-length': 0, 'transfer-encoding': 'chunked' }, '0\r\n\r\n'],
    ])('takes an empty file with %s', async (_, headers, body) => {
      const server = await serve()

      const answer = await server.ask({ method: 'POST', path: '/files', headers, body })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([201, '0'])
      expect(await server.objectOf(answer.headers['location']!)).toEqual(Buffer.alloc(0))
    })

    it('ignores a body of another content type', async () => {
      const server = await serve()
      const headers = { 'content-type': 'text/plain', 'upload-length': 5 }

      const answer = await server.ask({ method: 'POST', path: '/files', headers, body: 'hello' })

      expect(answer.status).toBe(201)
      expect(answer.headers).not.toHaveProperty('upload-offset')
      expect((await server.head(answer.headers['location']!)).headers['upload-offset']).toBe('0')
    })

    it.each([
      ['of known length', { ...chunk, 'upload-length': 3 }, 'hello'],
      ['in chunks', { ...chunk, 'upload-length': 3, 'transfer-encoding': 'chunked' }, '5\r\nhello\r\n0\r\n\r\n'],
    ])('keeps nothing of a body %s that is longer than its file', async (_, headers, body) => {
      const server = await serve()
      const by = userOf(randomUUID(), 'creator')

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...headers, ...bearer(`${by.id}:creator`) },
        body,
      })

      await server.engine.drained()
      expect([answer.status, codeOf(answer)]).toEqual([400, 'LENGTH_MISMATCH'])
      expect((await server.engine.list(by, { limit: 10 })).filter(({ state }) => state === 'receiving')).toEqual([])
      expect(await server.keys()).toEqual([])
    })
  })

  describe('Creation Defer Length', () => {
    it('answers Upload-Defer-Length until the client sends the length', async () => {
      const server = await serve()
      const path = await server.create(null)
      const unknown = await server.head(path)
      await server.patch(path, 0, 'hello', { 'upload-length': 11 })

      const known = await server.head(path)

      expect(unknown.headers).toMatchObject({ 'upload-defer-length': '1', 'upload-offset': '0' })
      expect(unknown.headers).not.toHaveProperty('upload-length')
      expect(known.headers).toMatchObject({ 'upload-length': '11', 'upload-offset': '5' })
      expect(known.headers).not.toHaveProperty('upload-defer-length')
    })

    it('takes the length with the last bytes', async () => {
      const server = await serve()
      const path = await server.create(null)
      await server.patch(path, 0, 'hello')

      const answer = await server.patch(path, 5, ' world', { 'upload-length': 11 })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([204, '11'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello world'))
    })

    it('takes the length after the last bytes', async () => {
      const server = await serve()
      const path = await server.create(null)
      await server.patch(path, 0, 'hello')

      const answer = await server.patch(path, 5, '', { 'upload-length': 5 })

      expect([answer.status, answer.headers['upload-offset']]).toEqual([204, '5'])
      expect(await server.objectOf(path)).toEqual(Buffer.from('hello'))
    })

    it.each([
      ['another length', 12],
      ['a length below the offset', 3],
    ])('refuses %s later', async (_, length) => {
      const server = await serve()
      const path = await server.create(null)
      await server.patch(path, 0, 'hello', { 'upload-length': 11 })

      const answer = await server.patch(path, 5, ' w', { 'upload-length': length })

      expect([answer.status, codeOf(answer)]).toEqual([400, 'LENGTH_MISMATCH'])
      expect(await server.uploadAt(path)).toMatchObject({ size: 11, offset: 5 })
    })

    it('accepts the same length again', async () => {
      const server = await serve()
      const path = await server.create(11)

      const answer = await server.patch(path, 0, 'hello', { 'upload-length': 11 })

      expect(answer.status).toBe(204)
    })

    it('checks a length that is sent later against the maximum', async () => {
      const server = await serve()
      const path = await server.create(null)

      const answer = await server.patch(path, 0, 'hello', { 'upload-length': 10 * 1024 ** 3 + 1 })

      expect([answer.status, codeOf(answer)]).toEqual([413, 'FILE_TOO_LARGE'])
      expect(await server.uploadAt(path)).toMatchObject({ size: null, offset: 0 })
    })
  })
})
