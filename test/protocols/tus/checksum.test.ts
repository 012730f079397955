import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { bearer } from '../../support/build-test-app.ts'
import { ada, bodyOf } from '../../support/open-engine.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { chunk, codeOf, serve as serveOn } from './serve.ts'

const algorithms = ['sha1', 'sha256', 'sha512', 'md5', 'crc32']

function sumOf(algorithm: string, bytes: Buffer): string {
  if (algorithm !== 'crc32') return `${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  return `crc32 ${sum.toString('base64')}`
}

/** A chunked body of two chunks, followed by `trailer`. */
function chunked(bytes: Buffer, trailer: string): Buffer {
  const half = Math.ceil(bytes.length / 2)
  const chunks = [bytes.subarray(0, half), bytes.subarray(half)].flatMap((chunk) => [
    `${chunk.length.toString(16)}\r\n`,
    chunk,
    '\r\n',
  ])
  return Buffer.concat([...chunks, `0\r\n${trailer}\r\n`].map((chunk) => Buffer.from(chunk)))
}

const trailing = { ...chunk, 'upload-offset': 0, 'transfer-encoding': 'chunked', trailer: 'Upload-Checksum' }

describe.each(protocolStores)('tus, Checksum, with files in %s', (kind) => {
  const serve = () => serveOn({ kind })

  it.each(algorithms)('accepts a PATCH whose %s is right', async (algorithm) => {
    const server = await serve()
    const bytes = randomBytes(45)
    const path = await server.create(45)

    const first = await server.patch(path, 0, bytes.subarray(0, 23), {
      'upload-checksum': sumOf(algorithm, bytes.subarray(0, 23)),
    })
    const last = await server.patch(path, 23, bytes.subarray(23), {
      'upload-checksum': sumOf(algorithm, bytes.subarray(23)),
    })

    expect([first.status, first.headers['upload-offset'], last.status]).toEqual([204, '23', 204])
    expect(await server.objectOf(path)).toEqual(bytes)
  })

  it.each(algorithms)('discards a PATCH whose %s is wrong, also across parts', async (algorithm) => {
    const server = await serve()
    const bytes = randomBytes(100)
    const path = await server.create(100)
    await server.patch(path, 0, bytes.subarray(0, 17))
    const before = [await server.uploadAt(path), await server.keys()]

    const answer = await server.patch(path, 17, bytes.subarray(17, 68), {
      'upload-checksum': sumOf(algorithm, randomBytes(51)),
    })

    await server.engine.drained()
    expect([answer.status, codeOf(answer)]).toEqual([460, 'CHECKSUM_MISMATCH'])
    expect([await server.uploadAt(path), await server.keys()]).toEqual(before)
    await server.patch(path, 17, bytes.subarray(17))
    expect(await server.objectOf(path)).toEqual(bytes)
  })

  it('discards a wrong PATCH across numbered parts, and keeps those parts', async () => {
    const server = await serve()
    const creation = { filename: 'a.bin', contentType: 'application/octet-stream', kind: 'parted' as const }
    const { partSize } = await server.engine.create(ada, { ...creation, size: 1 })
    const bytes = randomBytes(2 * partSize + 5)
    const { id } = await server.engine.create(ada, { ...creation, size: bytes.length })
    const second = bytes.subarray(partSize, 2 * partSize)
    await server.engine.uploadPart(ada, id, { number: 2, body: bodyOf(second), bodySize: partSize })
    const stored = async () => ({ parts: (await server.engine.listParts(ada, id)).parts, keys: await server.keys() })
    const before = await stored()

    const wrong = await server.patch(`/files/${id}`, 0, Buffer.alloc(bytes.length), {
      'upload-checksum': sumOf('sha1', bytes),
    })

    await server.engine.drained()
    expect(wrong.status).toBe(460)
    expect(await stored()).toEqual(before)
    const right = await server.patch(`/files/${id}`, 0, bytes.subarray(0, partSize), {
      'upload-checksum': sumOf('sha1', bytes.subarray(0, partSize)),
    })
    const { offset } = await server.uploadAt(id)
    await server.patch(`/files/${id}`, offset, bytes.subarray(offset))
    expect([right.status, offset]).toEqual([204, 2 * partSize])
    expect((await server.objectOf(id))?.equals(bytes)).toBe(true)
  })

  it('discards the last PATCH of a file when its checksum is wrong', async () => {
    const server = await serve()
    const bytes = randomBytes(45)
    const path = await server.create(45)

    const answer = await server.patch(path, 0, bytes, { 'upload-checksum': sumOf('sha1', randomBytes(45)) })

    expect(answer.status).toBe(460)
    expect(await server.uploadAt(path)).toMatchObject({ state: 'receiving', offset: 0 })
    expect(await server.objectOf(path)).toBeUndefined()
  })

  it('discards the Upload-Length of a PATCH whose checksum is wrong', async () => {
    const server = await serve()
    const path = await server.create(null)

    await server.patch(path, 0, 'hello', { 'upload-length': 5, 'upload-checksum': sumOf('sha1', randomBytes(5)) })

    expect(await server.uploadAt(path)).toMatchObject({ size: null, offset: 0 })
  })

  it.each(['sha3 YWJj', 'SHA1 YWJj', 'sha1', 'sha1 ', 'sha1 n*t', 'YWJj', ' '])(
    'answers "%s" with 400',
    async (checksum) => {
      const server = await serve()
      const path = await server.create(5)

      const answer = await server.patch(path, 0, 'hello', { 'upload-checksum': checksum })

      expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
      expect((await server.uploadAt(path)).offset).toBe(0)
    },
  )

  it('verifies the bytes of a POST', async () => {
    const server = await serve()
    const by = userOf(randomUUID(), 'creator')
    const headers = { ...chunk, ...bearer(`${by.id}:creator`), 'upload-length': 5 }
    const post = (checksum: string) =>
      server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...headers, 'upload-checksum': checksum },
        body: 'hello',
      })

    const wrong = await post(sumOf('sha1', Buffer.from('hallo')))
    const keys = await server.keys()
    const right = await post(sumOf('sha1', Buffer.from('hello')))

    expect([wrong.status, keys]).toEqual([460, []])
    expect([right.status, right.headers['upload-offset']]).toEqual([201, '5'])
    const states = (await server.engine.list(by, { limit: 10 })).map(({ state }) => state)
    expect(states.sort()).toEqual(['cancelled', 'completed'])
  })

  describe('a checksum in a trailer', () => {
    it.each(algorithms)('is verified after the body: %s', async (algorithm) => {
      const server = await serve()
      const bytes = randomBytes(45)
      const path = await server.create(45)
      const send = (sum: string) =>
        server.ask({ method: 'PATCH', path, headers: trailing, body: chunked(bytes, `Upload-Checksum: ${sum}\r\n`) })

      const wrong = await send(sumOf(algorithm, randomBytes(45)))
      const { offset } = await server.uploadAt(path)
      const right = await send(sumOf(algorithm, bytes))

      expect([wrong.status, offset, right.status, right.headers['upload-offset']]).toEqual([460, 0, 204, '45'])
      expect(await server.objectOf(path)).toEqual(bytes)
    })

    it.each([
      ['is missing', ''],
      ['is of an unknown algorithm', 'Upload-Checksum: sha3 YWJj\r\n'],
      ['has another name', 'Upload-Other: sha1 YWJj\r\n'],
    ])('is answered with 400 when it was announced and %s', async (_, trailer) => {
      const server = await serve()
      const path = await server.create(45)

      const answer = await server.ask({
        method: 'PATCH',
        path,
        headers: trailing,
        body: chunked(randomBytes(45), trailer),
      })

      expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST'])
      expect((await server.uploadAt(path)).offset).toBe(0)
    })
  })
})
