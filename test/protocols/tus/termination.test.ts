import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { protocolStores } from '../../support/open-test-store.ts'
import { chunk, codeOf, serve as serveOn } from './serve.ts'

describe.each(protocolStores)('tus, Termination, with files in %s', (kind) => {
  const serve = () => serveOn({ kind })

  it.each([
    ['an empty upload', 0],
    ['an unfinished upload', 37],
    ['a complete upload', 45],
  ])('answers DELETE of %s with 204 and frees its storage', async (_, sent) => {
    const server = await serve()
    const bytes = randomBytes(45)
    const path = await server.create(45)
    if (sent > 0) await server.patch(path, 0, bytes.subarray(0, sent))

    const answer = await server.ask({ method: 'DELETE', path })

    expect([answer.status, answer.body]).toEqual([204, ''])
    expect([await server.keys(), await server.openMultiparts()]).toEqual([[], 0])
  })

  it.each(['HEAD', 'PATCH', 'DELETE'])('answers a later %s with 410', async (method) => {
    const server = await serve()
    const path = await server.create(5)
    await server.ask({ method: 'DELETE', path })

    const answer = await server.ask({ method, path, headers: { ...chunk, 'upload-offset': 0 }, body: '' })

    expect(answer.status).toBe(410)
    expect(answer.headers).not.toHaveProperty('upload-offset')
  })

  it('answers DELETE of an unknown upload with 404', async () => {
    const server = await serve()

    const answer = await server.ask({ method: 'DELETE', path: `/files/${randomUUID()}` })

    expect([answer.status, codeOf(answer)]).toEqual([404, 'UPLOAD_NOT_FOUND'])
  })

  it('ends a running PATCH, whose bytes do not reappear', async () => {
    const server = await serve()
    const path = await server.create(100)
    const headers = { ...chunk, 'upload-offset': 0, 'content-length': 100 }
    const running = await server.open({ method: 'PATCH', path, headers })
    await running.send(randomBytes(40))

    const deleted = await server.ask({ method: 'DELETE', path })
    await running.send(randomBytes(30))
    const answer = await running.answer()
    await server.engine.drained()

    expect(deleted.status).toBe(204)
    expect([423, 410]).toContain(answer?.status)
    expect((await server.head(path)).status).toBe(410)
    expect([await server.keys(), await server.openMultiparts()]).toEqual([[], 0])
  })
})
