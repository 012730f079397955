import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { protocolStores } from '../../support/open-test-store.ts'
import { headOf, openRaw } from '../../support/raw-http.ts'
import { appendHeaders, asAda, interop, lastIn, type Served, type Serving, serve as serveOn } from './serve.ts'

const hash = (algorithm: string, bytes: Buffer) => createHash(algorithm).update(bytes).digest('base64')
const digestOf = (bytes: Buffer) => `sha-256=:${hash('sha256', bytes)}:`
const wrong = digestOf(Buffer.from('something else'))

function create(
  server: Served,
  version: number,
  isLast: boolean,
  body: Buffer,
  headers: Record<string, string | number>,
) {
  return server.ask({
    method: 'POST',
    path: '/files',
    headers: { ...interop(version), ...lastIn(version, isLast), ...headers },
    body,
  })
}

describe.each(protocolStores)('RUFH, digests, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  describe.each([6, 8, 10])('Content-Digest in version %i', (version) => {
    it.each([
      ['sha-256', (bytes: Buffer) => digestOf(bytes)],
      ['sha-512', (bytes: Buffer) => `sha-512=:${hash('sha512', bytes)}:`],
      ['both', (bytes: Buffer) => `${digestOf(bytes)}, sha-512=:${hash('sha512', bytes)}:`],
      ['an unknown algorithm', () => 'md5=:1B2M2Y8AsgTpgAmY7PhCfg==:'],
    ])('that matches changes nothing (%s)', async (_, digest) => {
      const server = await serve()
      const body = randomBytes(35)

      const answer = await create(server, version, true, body, { 'content-digest': digest(body) })

      expect(answer.status).toBe(201)
      expect(await server.objectOf(answer.headers['location']!)).toEqual(body)
    })

    it('that does not match rejects an append, and the upload can be resumed', async () => {
      const server = await serve()
      const body = randomBytes(60)
      const path = (await create(server, version, false, body.subarray(0, 13), {})).headers['location']!

      const refused = await server.ask({
        method: 'PATCH',
        path,
        headers: { ...appendHeaders(version, 13, true), 'content-digest': wrong },
        body: body.subarray(13),
      })
      const head = await server.ask({ method: 'HEAD', path, headers: interop(version) })
      const accepted = await server.ask({
        method: 'PATCH',
        path,
        headers: { ...appendHeaders(version, 13, true), 'content-digest': digestOf(body.subarray(13)) },
        body: body.subarray(13),
      })

      expect(refused.status).toBe(400)
      expect(refused.headers['upload-complete']).toBe('?0')
      expect(refused.json()).toMatchObject({
        type: 'https://iana.org/assignments/http-problem-types#digest-mismatching-values',
        error: { code: 'CHECKSUM_MISMATCH' },
      })
      expect(head.headers['upload-offset']).toBe('13')
      expect(accepted.status).toBe(201)
      expect(await server.objectOf(path)).toEqual(body)
    })

    it('that does not match rejects the bytes of a creation, but not the upload', async () => {
      const server = await serve()
      const body = randomBytes(35)

      const refused = await create(server, version, true, body, { 'content-digest': wrong })
      const path = refused.headers['location']!
      const head = await server.ask({ method: 'HEAD', path, headers: interop(version) })

      expect(refused.status).toBe(400)
      expect(path).toBe(refused.interims[0]?.headers['location'])
      expect(head.headers).toMatchObject({ 'upload-offset': '0', 'upload-complete': '?0' })
    })

    it('does not reject the bytes of a body that breaks off', async () => {
      const server = await serve()
      const body = randomBytes(60)
      const connection = await openRaw(server.port)
      await connection.send(
        headOf({
          method: 'POST',
          path: '/files',
          headers: {
            ...asAda,
            ...interop(version),
            'upload-complete': '?1',
            'content-length': 60,
            'content-digest': digestOf(body),
          },
        }),
      )
      const [, path] = /location: (\S+)/i.exec(await connection.until(/ 104 [\s\S]*\r\n\r\n/)) ?? []
      await connection.send(body.subarray(0, 37))
      await server.arrived(37)
      connection.cut()

      const head = await server.ask({ method: 'HEAD', path: path!, headers: interop(version) })

      expect(head.headers['upload-offset']).toBe('37')
    })
  })

  it.each([3, 5, 6])('a failed creation of version %i answers the offset of its upload', async (version) => {
    const server = await serve()

    const refused = await create(server, version, true, randomBytes(35), { 'content-digest': wrong })

    expect(refused.status).toBe(400)
    expect(refused.headers['location']).toBeDefined()
    expect(refused.headers['upload-offset']).toBe('0')
  })

  describe.each(['content-digest', 'repr-digest', 'want-repr-digest'])('%s', (name) => {
    it.each(['not a dictionary!', 'sha-256=x'])('with the value %s is refused, or has no effect', async (value) => {
      const server = await serve()

      const answer = await create(server, 8, true, randomBytes(5), { [name]: value })

      // A preference that is not a number is ignored. A digest that is not a byte sequence cannot be verified.
      const isHarmless = name === 'want-repr-digest' && value === 'sha-256=x'
      expect(answer.status).toBe(isHarmless ? 201 : 400)
    })
  })

  describe('Repr-Digest', () => {
    it.each([
      ['in one request', 60],
      ['in two requests', 23],
    ])('that matches an upload sent %s completes it and is returned', async (_, cut) => {
      const server = await serve()
      const body = randomBytes(60)

      const first = await create(server, 8, cut === 60, body.subarray(0, cut), { 'repr-digest': digestOf(body) })
      const path = first.headers['location']!
      const answer =
        cut === 60
          ? first
          : await server.ask({ method: 'PATCH', path, headers: appendHeaders(8, cut, true), body: body.subarray(cut) })

      expect(answer.status).toBe(201)
      expect(answer.headers).toMatchObject({ 'upload-complete': '?1', 'repr-digest': digestOf(body) })
      expect(await server.objectOf(path)).toEqual(body)
    })

    it.each([
      ['in one request', 60],
      ['in two requests', 23],
    ])('that does not match an upload sent %s fails it', async (_, cut) => {
      const server = await serve()
      const body = randomBytes(60)

      const first = await create(server, 8, cut === 60, body.subarray(0, cut), { 'repr-digest': wrong })
      const path = first.headers['location']!
      const answer =
        cut === 60
          ? first
          : await server.ask({ method: 'PATCH', path, headers: appendHeaders(8, cut, true), body: body.subarray(cut) })
      const head = await server.ask({ method: 'HEAD', path, headers: interop(8) })

      expect(answer.status).toBe(400)
      // The file was transferred whole. Sending it again to this URL would not help.
      expect(answer.headers['upload-complete']).toBe('?1')
      expect(answer.json()).toMatchObject({
        type: 'https://iana.org/assignments/http-problem-types#digest-mismatching-values',
        error: { code: 'CHECKSUM_MISMATCH' },
      })
      expect(head.status).toBe(410)
      await server.engine.cleanUp(path.split('/').at(-1)!)
      expect(await server.keys()).toEqual([])
    })
  })

  describe('Want-Repr-Digest', () => {
    it.each([
      ['sha-256=1', 'sha-256'],
      ['sha-256=1, sha-512=10', 'sha-512'],
      ['sha-256=3, sha-512=0', 'sha-256'],
      ['md5=10, sha-512=1', 'sha-512'],
    ])('%s is answered with %s, also in a repeated final answer', async (want, algorithm) => {
      const server = await serve()
      const body = randomBytes(60)
      const digest = `${algorithm}=:${hash(algorithm.replace('-', ''), body)}:`

      const first = await create(server, 10, false, body.subarray(0, 23), { 'want-repr-digest': want })
      const path = first.headers['location']!
      const last = await server.ask({
        method: 'PATCH',
        path,
        headers: appendHeaders(10, 23, true),
        body: body.subarray(23),
      })
      const repeated = await server.ask({ method: 'PATCH', path, headers: appendHeaders(10, 60, true), body: '' })

      expect(first.headers).not.toHaveProperty('repr-digest')
      expect(last.headers['repr-digest']).toBe(digest)
      expect(repeated.headers['repr-digest']).toBe(digest)
    })

    it.each(['sha-256=0', 'md5=10'])('%s is answered without a digest', async (want) => {
      const server = await serve()

      const answer = await create(server, 10, true, randomBytes(9), { 'want-repr-digest': want })

      expect(answer.status).toBe(201)
      expect(answer.headers).not.toHaveProperty('repr-digest')
    })
  })
})
