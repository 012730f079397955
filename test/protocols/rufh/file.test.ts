import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { protocolStores } from '../../support/open-test-store.ts'
import { interop, type Serving, serve as serveOn } from './serve.ts'

describe.each(protocolStores)('RUFH, the file, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  describe('a file', () => {
    it('has the name and type in the headers of its creation', async () => {
      const server = await serve()

      const { headers } = await server.ask({
        method: 'POST',
        path: '/files',
        headers: {
          ...interop(6),
          'upload-complete': '?1',
          'content-type': 'image/png; x=1',
          'content-disposition': 'inline; filename="a.png"; filename*=UTF-8\'\'%C3%BCbung.png',
        },
        body: randomBytes(12),
      })

      expect(await server.uploadAt(headers['location']!)).toMatchObject({
        filename: 'übung.png',
        contentType: 'image/png',
        category: 'image',
      })
    })

    it.each([
      [
        'a name that is too long',
        { 'content-disposition': `inline; filename="${'x'.repeat(2000)}"` },
        400,
        'INVALID_METADATA',
      ],
      [
        'a type that the role may not send',
        { 'content-type': 'video/mp4', authorization: 'Bearer sue:subscriber' },
        415,
        'TYPE_NOT_ALLOWED',
      ],
      ['a role that may send nothing', { authorization: 'Bearer sue:guest' }, 403, 'ROLE_NOT_ALLOWED'],
    ])('with %s is refused before an upload is created', async (_, headers, status, code) => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(8), 'upload-complete': '?1', ...headers },
        body: 'x',
      })

      expect(answer.status).toBe(status)
      expect(answer.headers['upload-complete']).toBe('?0')
      expect(answer.json()).toMatchObject({ status, error: { code } })
      expect(answer.headers).not.toHaveProperty('location')
    })

    it('may be created by PUT', async () => {
      const server = await serve()

      const answer = await server.ask({
        method: 'PUT',
        path: '/files',
        headers: { 'upload-complete': '?1' },
        body: 'put',
      })

      expect(answer.status).toBe(201)
      expect((await server.objectOf(answer.headers['location']!))?.toString()).toBe('put')
    })

    it.each([4, 6, 8, 10])('that is empty is completed by one request of version %i', async (version) => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), 'upload-complete': '?1', 'upload-length': 0 },
        body: '',
      })

      expect(answer.headers).toMatchObject({ 'upload-complete': '?1', 'upload-offset': '0' })
      expect(await server.objectOf(answer.headers['location']!)).toEqual(Buffer.alloc(0))
    })

    it.each([5, 6])('that is empty is completed by a creation of version %i with ?0', async (version) => {
      const server = await serve()

      const created = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), 'upload-complete': '?0', 'upload-length': 0 },
      })
      const path = created.headers['location']!
      // Another client of this version may still send `Upload-Complete: ?1`.
      const completed = await server.ask({
        method: 'PATCH',
        path,
        headers: {
          ...interop(version),
          'upload-offset': 0,
          'upload-complete': '?1',
          'content-type': 'application/partial-upload',
        },
        body: '',
      })

      expect(created.headers['upload-complete']).toBe('?1')
      expect(await server.objectOf(path)).toEqual(Buffer.alloc(0))
      expect(completed.headers['upload-complete']).toBe('?1')
    })

    it.each([4, 8, 10])('that is empty is not completed by a creation of version %i with ?0', async (version) => {
      const server = await serve()

      const { headers } = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), 'upload-complete': '?0', 'upload-length': 0 },
      })

      expect(headers['upload-complete']).toBe('?0')
      expect(await server.objectOf(headers['location']!)).toBeUndefined()
    })
  })

  describe('a creation', () => {
    it.each([
      ['without Upload-Complete', {}],
      ['with an invalid Upload-Complete', { 'upload-complete': 'yes' }],
      ['with the header of another version', { 'upload-incomplete': '?0' }],
      ['at offset 5', { 'upload-complete': '?1', 'upload-offset': 5 }],
    ])('%s is refused', async (_, headers) => {
      const server = await serve()

      for (const version of [6, 8]) {
        const answer = await server.ask({
          method: 'POST',
          path: '/files',
          headers: { ...interop(version), ...headers },
          body: 'x',
        })
        expect(answer.status).toBe(400)
        expect(answer.interims).toEqual([])
      }
    })

    it('needs no interop version', async () => {
      const server = await serve()

      const complete = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { 'upload-complete': '?1' },
        body: 'x',
      })
      const incomplete = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { 'upload-incomplete': '?1' },
        body: 'x',
      })

      expect(complete.headers['upload-complete']).toBe('?1')
      expect(incomplete.headers['upload-incomplete']).toBe('?1')
      expect(incomplete.headers).not.toHaveProperty('upload-complete')
    })
  })
})
