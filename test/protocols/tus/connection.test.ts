import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../../src/core/engine.ts'
import { errors } from '../../../src/core/errors/errors.ts'
import { userOf } from '../../../src/core/upload.ts'
import { bearer } from '../../support/build-test-app.ts'
import { unavailable } from '../../support/memory-store.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { sendFile } from '../../support/tus-file.ts'
import { until } from '../../support/until.ts'
import { chunk, codeOf, type Serving, serve as serveOn, type TusServer } from './serve.ts'

/** Starts a PATCH of 100 bytes and sends `bytes` of them. */
async function startPatch(server: TusServer, path: string, bytes: Buffer) {
  const headers = { ...chunk, 'upload-offset': 0, 'content-length': 100 }
  const connection = await server.open({ method: 'PATCH', path, headers })
  await connection.send(bytes)
  return connection
}

describe.each(protocolStores)('tus over bad connections, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  it('keeps the bytes that arrived before the connection broke', async () => {
    const server = await serve()
    const bytes = randomBytes(100)
    const path = await server.create(100)
    const connection = await startPatch(server, path, bytes.subarray(0, 57))
    // A connection that is cut before the server reads the PATCH would show nothing.
    await server.arrived(57)

    connection.cut()
    await until(async () => (await server.uploadAt(path)).offset > 0)

    expect((await server.head(path)).headers['upload-offset']).toBe('57')
    await server.patch(path, 57, bytes.subarray(57))
    expect(await server.objectOf(path)).toEqual(bytes)
  })

  it('keeps the bytes that arrived before the connection of a creation broke', async () => {
    const server = await serve()
    const headers = { ...chunk, 'upload-length': 100, 'content-length': 100 }
    const connection = await server.open({ method: 'POST', path: '/files', headers })
    await connection.send(randomBytes(57))
    await server.arrived(57)

    connection.cut()
    const newest = async () => (await server.engine.list(userOf('ada', 'creator'), { limit: 1 }))[0]
    await until(async () => (await newest())?.offset === 57)

    expect(await newest()).toMatchObject({ state: 'receiving', size: 100 })
  })

  it('lets a HEAD take over from a PATCH that hangs, and answers its last offset', async () => {
    const server = await serve()
    const bytes = randomBytes(100)
    const path = await server.create(100)
    const hanging = await startPatch(server, path, bytes.subarray(0, 57))
    await server.arrived(57)

    const head = await server.head(path)
    const patch = await hanging.answer()
    await server.patch(path, 57, bytes.subarray(57))

    expect(head.headers['upload-offset']).toBe('57')
    expect(patch?.status).toBe(423)
    expect(patch?.headers).toMatchObject({ 'retry-after': '1', connection: 'close' })
    expect(await server.objectOf(path)).toEqual(bytes)
  })

  it('answers a body that stalls with 503 and Retry-After, and keeps its bytes', async () => {
    const server = await serve({ bodyIdleMs: 1000 })
    const path = await server.create(100)
    const stalled = await startPatch(server, path, randomBytes(57))

    const answer = await stalled.answer()

    expect([answer?.status, answer && codeOf(answer)]).toEqual([503, 'BODY_TIMEOUT'])
    expect(answer?.headers).toMatchObject({ 'retry-after': '5', connection: 'close' })
    expect((await server.head(path)).headers['upload-offset']).toBe('57')
  })

  it('answers 503 while the store does not answer, and never reports a complete file', async () => {
    const server = await serve({ finishWaitMs: 300 })
    const bytes = randomBytes(45)
    const path = await server.create(45)
    server.store.fault = () => {
      throw unavailable()
    }

    const sent = await server.patch(path, 0, bytes)
    const head = await server.head(path)
    server.store.fault = () => {}
    const { offset } = await server.uploadAt(path)
    await server.patch(path, offset, bytes.subarray(offset))

    expect([sent.status, codeOf(sent), sent.headers['retry-after']]).toEqual([503, 'STORE_UNAVAILABLE', '5'])
    expect(head.headers['upload-offset']).not.toBe('45')
    expect(head.status).not.toBe(503)
    expect((await server.head(path)).headers['upload-offset']).toBe('45')
    expect(await server.objectOf(path)).toEqual(bytes)
  })
})

it('tus-js-client resumes after a HEAD that the server could not answer', async () => {
  let heads = 0
  const server = await serveOn({
    onCall(name) {
      if (name === 'status') heads += 1
      if (name === 'status' && heads <= 2) throw errors.databaseUnavailable({})
    },
  })
  const bytes = randomBytes(45)
  const path = await server.create(45)
  const url = `http://127.0.0.1:${server.port}`

  const head = await server.head(path)
  const sentTo = await sendFile(url, bytes, { uploadUrl: url + path, headers: bearer(), retryDelays: [1, 1, 1] })

  expect([head.status, head.headers['retry-after']]).toEqual([423, '5'])
  expect(sentTo).toBe(url + path)
  expect(await server.objectOf(path)).toEqual(bytes)
})

describe('a connection in tus', () => {
  it('is closed after an answer that left the body unread', async () => {
    const server = await serveOn()
    const path = await server.create(100)
    const headers = { ...chunk, 'upload-offset': 9, 'content-length': 100, connection: 'keep-alive' }

    const connection = await server.open({ method: 'PATCH', path, headers })
    const answer = await connection.answer()

    expect([answer?.status, answer?.headers['connection']]).toEqual([409, 'close'])
  })

  it('stays open for the next request when the body was read', async () => {
    const server = await serveOn()
    const path = await server.create(10)
    const headers = { ...chunk, 'content-length': 5, connection: 'keep-alive' }

    const connection = await server.open({ method: 'PATCH', path, headers: { ...headers, 'upload-offset': 0 } })
    await connection.send('hello')
    await connection.until(/204 No Content/)
    await connection.send(
      `HEAD ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ada:creator\r\nTus-Resumable: 1.0.0\r\n\r\n`,
    )
    const answers = await connection.closed().then(() => connection.received())

    expect(answers).toMatch(/204 No Content[\s\S]*200 OK[\s\S]*upload-offset: 5/i)
  })

  it('gets 100 (Continue) before a body with Expect: 100-continue', async () => {
    const server = await serveOn()
    const path = await server.create(5)
    const headers = { ...chunk, 'upload-offset': 0, 'content-length': 5, expect: '100-continue' }

    const connection = await server.open({ method: 'PATCH', path, headers })
    await connection.until(/^HTTP\/1.1 100 Continue\r\n\r\n/)
    await connection.send('hello')
    const answer = await connection.answer()

    expect(answer?.status).toBe(204)
  })

  it('makes one call to the engine for a PATCH', async () => {
    const calls: string[] = []
    const server = await serveOn({ onCall: (name) => calls.push(name) })
    const path = await server.create(10)
    calls.length = 0

    await server.patch(path, 0, 'hello')

    expect(calls).toEqual(['append' satisfies keyof Engine])
  })

  it('gets no text of an internal error', async () => {
    const server = await serveOn()
    const path = await server.create(45)
    server.store.fault = () => {
      throw new Error('the password is 1234')
    }

    const answer = await server.patch(path, 0, randomBytes(45))

    expect([answer.status, codeOf(answer)]).toEqual([500, 'INTERNAL_ERROR'])
    expect(answer.body).not.toContain('1234')
    expect(answer.headers['tus-resumable']).toBe('1.0.0')
  })
})
