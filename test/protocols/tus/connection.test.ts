import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../../src/core/engine.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import { userOf } from '../../../src/core/upload.ts'
import { bearer } from '../../support/build-test-app.ts'
import { unavailable } from '../../support/memory-store.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { sendFile } from '../../support/tus-file.ts'
import { until } from '../../support/until.ts'
import { chunk, codeOf, type Serving, serve as serveOn, type TusServer } from './serve.ts'

/** A PATCH that announces 100 bytes, of which `bytes` come for now. */
async function patching(server: TusServer, path: string, bytes: Buffer) {
  const headers = { ...chunk, 'upload-offset': 0, 'content-length': 100 }
  const connection = await server.open({ method: 'PATCH', path, headers })
  await connection.send(bytes)
  return connection
}

describe.each(protocolStores)('tus over bad connections, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  it('keeps what came before the connection broke', async () => {
    const server = await serve()
    const bytes = randomBytes(100)
    const path = await server.create(100)
    const connection = await patching(server, path, bytes.subarray(0, 57))
    // A PATCH that the server has not begun to read is not interrupted but absent.
    await server.arrived(57)

    connection.cut()
    await until(async () => (await server.sessionOf(path)).offset > 0)

    expect((await server.head(path)).headers['upload-offset']).toBe('57')
    await server.patch(path, 57, bytes.subarray(57))
    expect(await server.objectOf(path)).toEqual(bytes)
  })

  it('keeps what came before a creation broke', async () => {
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

  it('lets a HEAD take over from a PATCH that hangs, and tells its last byte', async () => {
    const server = await serve()
    const bytes = randomBytes(100)
    const path = await server.create(100)
    const hanging = await patching(server, path, bytes.subarray(0, 57))
    await server.arrived(57)

    const seen = await server.head(path)
    const told = await hanging.answer()
    await server.patch(path, 57, bytes.subarray(57))

    expect(seen.headers['upload-offset']).toBe('57')
    expect(told?.status).toBe(423)
    expect(told?.headers).toMatchObject({ 'retry-after': '1', connection: 'close' })
    expect(await server.objectOf(path)).toEqual(bytes)
  })

  it('gives up on a body that stalls, keeps what came, and asks the client to come again', async () => {
    const server = await serve({ bodyIdleMs: 200 })
    const path = await server.create(100)
    const stalled = await patching(server, path, randomBytes(57))

    const told = await stalled.answer()

    expect([told?.status, told && codeOf(told)]).toEqual([503, 'BODY_TIMEOUT'])
    expect(told?.headers).toMatchObject({ 'retry-after': '5', connection: 'close' })
    expect((await server.head(path)).headers['upload-offset']).toBe('57')
  })

  it('answers 503 while the store does not, and never says that a file is whole', async () => {
    const server = await serve({ finishWaitMs: 300 })
    const bytes = randomBytes(45)
    const path = await server.create(45)
    server.store.fault = () => {
      throw unavailable()
    }

    const sent = await server.patch(path, 0, bytes)
    const seen = await server.head(path)
    server.store.fault = () => {}
    const { offset } = await server.sessionOf(path)
    await server.patch(path, offset, bytes.subarray(offset))

    expect([sent.status, codeOf(sent), sent.headers['retry-after']]).toEqual([503, 'STORE_UNAVAILABLE', '5'])
    expect(seen.headers['upload-offset']).not.toBe('45')
    expect(seen.status).not.toBe(503)
    expect((await server.head(path)).headers['upload-offset']).toBe('45')
    expect(await server.objectOf(path)).toEqual(bytes)
  })
})

it('a HEAD that cannot be answered now does not make the published client begin anew', async () => {
  let asked = 0
  const server = await serveOn({
    watch(verb) {
      if (verb === 'read') asked += 1
      if (verb === 'read' && asked <= 2) throw new UploadError('DATABASE_ERROR', 'The database does not answer.')
    },
  })
  const bytes = randomBytes(45)
  const path = await server.create(45)
  const url = `http://127.0.0.1:${server.port}`

  const seen = await server.head(path)
  const sentTo = await sendFile(url, bytes, { uploadUrl: url + path, headers: bearer(), retryDelays: [1, 1, 1] })

  expect([seen.status, seen.headers['retry-after']]).toEqual([423, '5'])
  expect(sentTo).toBe(url + path)
  expect(await server.objectOf(path)).toEqual(bytes)
})

describe('tus, the connection', () => {
  it('is closed after an answer that left the body unread', async () => {
    const server = await serveOn()
    const path = await server.create(100)
    const headers = { ...chunk, 'upload-offset': 9, 'content-length': 100, connection: 'keep-alive' }

    const connection = await server.open({ method: 'PATCH', path, headers })
    const told = await connection.answer()

    expect([told?.status, told?.headers['connection']]).toEqual([409, 'close'])
  })

  it('stays for the next request when the body was read', async () => {
    const server = await serveOn()
    const path = await server.create(10)
    const headers = { ...chunk, 'content-length': 5, connection: 'keep-alive' }

    const connection = await server.open({ method: 'PATCH', path, headers: { ...headers, 'upload-offset': 0 } })
    await connection.send('hello')
    await connection.until(/204 No Content/)
    await connection.send(
      `HEAD ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ada:creator\r\nTus-Resumable: 1.0.0\r\n\r\n`,
    )
    const heard = await connection.closed().then(() => connection.heard())

    expect(heard).toMatch(/204 No Content[\s\S]*200 OK[\s\S]*upload-offset: 5/i)
  })

  it('hears at once that a body with Expect: 100-continue is wanted', async () => {
    const server = await serveOn()
    const path = await server.create(5)
    const headers = { ...chunk, 'upload-offset': 0, 'content-length': 5, expect: '100-continue' }

    const connection = await server.open({ method: 'PATCH', path, headers })
    await connection.until(/^HTTP\/1.1 100 Continue\r\n\r\n/)
    await connection.send('hello')
    const answer = await connection.answer()

    expect(answer?.status).toBe(204)
  })

  it('costs one visit to the engine for a PATCH', async () => {
    const visits: string[] = []
    const server = await serveOn({ watch: (verb) => visits.push(verb) })
    const path = await server.create(10)
    visits.length = 0

    await server.patch(path, 0, 'hello')

    expect(visits).toEqual(['append' satisfies keyof Engine])
  })

  it('hears of a fault of ours without its words', async () => {
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
