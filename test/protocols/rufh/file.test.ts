import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { protocolStores } from '../../support/open-test-store.ts'
import { interop, type Serving, serve as serveOn } from './serve.ts'

describe.each(protocolStores)('RUFH, the file, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  describe('a file', () => {
    it('has the name and the type its creation says', async () => {
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

      expect(await server.sessionOf(headers['location']!)).toMatchObject({
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
        'a type its owner may not send',
        { 'content-type': 'video/mp4', authorization: 'Bearer sue:subscriber' },
        415,
        'TYPE_NOT_ALLOWED',
      ],
      ['an owner whose role may send nothing', { authorization: 'Bearer sue:guest' }, 403, 'ROLE_NOT_ALLOWED'],
    ])('with %s is refused before anything is kept', async (_, headers, status, code) => {
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

    it.each([4, 6, 8, 10])('without a byte is completed by one request of version %i', async (version) => {
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

    it.each([5, 6])(
      'without a byte is complete at once where its client (version %i) says no more',
      async (version) => {
        const server = await serve()

        const created = await server.ask({
          method: 'POST',
          path: '/files',
          headers: { ...interop(version), 'upload-complete': '?0', 'upload-length': 0 },
        })
        const path = created.headers['location']!
        // Another client of this version may still say what the server has said already.
        const said = await server.ask({
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
        expect(said.headers['upload-complete']).toBe('?1')
      },
    )

    it.each([4, 8, 10])('without a byte waits for the word of a client of version %i', async (version) => {
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
      ['says nothing of its end', {}],
      ['says something else of its end', { 'upload-complete': 'yes' }],
      ['says it in the words of another version', { 'upload-incomplete': '?0' }],
      ['starts in the middle', { 'upload-complete': '?1', 'upload-offset': 5 }],
    ])('that %s is refused', async (_, headers) => {
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

    it('needs no version', async () => {
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
