import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { memoryStore } from '../../support/memory-store.ts'
import { openRaw } from '../../support/raw-http.ts'
import { portOf, type TestApp, testAppOver } from '../../support/test-app.ts'
import { sendWholeFile } from './sent-file.ts'

const size = 300_000
const bytes = Buffer.alloc(size, 'landfall')

/** A store whose files are read as the test says. `ended` resolves when a reader stops; `reads` counts them. */
function storeThatReads(read: () => AsyncGenerator<Buffer>) {
  const store = memoryStore()
  const real = store.read
  const ended = Promise.withResolvers<void>()
  let reads = 0
  return {
    ended: ended.promise,
    reads: () => reads,
    store: {
      ...store,
      async *read(key: string, range?: { start: number; end: number }) {
        if (key.startsWith('.landfall')) return yield* real(key, range)
        reads += 1
        try {
          yield* read()
        } finally {
          ended.resolve()
        }
      },
    },
  }
}

/** Asks for a file on a connection that may be kept. */
async function ask(app: TestApp, id: string, actor?: Parameters<TestApp['as']>[0]) {
  const connection = await openRaw(await portOf(app))
  const { authorization } = await app.as(actor)
  await connection.send(`GET /v1/files/${id}/content HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`)
  return connection
}

/** Bytes of the body that the client has received. */
const bodyOf = (received: string) => received.slice(received.indexOf('\r\n\r\n') + 4).length

describe('when the store fails', () => {
  it.each([
    [
      'in the middle of a file',
      async function* () {
        yield bytes.subarray(0, 100_000)
        throw new Error('the store has gone')
      },
    ],
    [
      'by ending too early',
      async function* () {
        yield bytes.subarray(0, size - 1)
      },
    ],
  ])('%s, the connection is cut: no short body looks whole', async (_, read) => {
    const { store, ended } = storeThatReads(read)
    const app = await testAppOver(store)
    const id = await sendWholeFile(app, 'a.txt', bytes)

    const connection = await ask(app, id)
    await connection.closed()
    await ended

    expect(connection.received()).toContain(`content-length: ${size}`)
    expect(bodyOf(connection.received())).toBeLessThan(size)
  })

  it.each([
    [
      'before the first byte',
      async function* () {
        if (bytes.length > 0) throw new Error('not now')
        yield bytes
      },
      500,
    ],
    ['by having no such object', async function* () {}, 503],
  ])('%s, the answer is an error that no cache keeps', async (_, read, status) => {
    const { store } = storeThatReads(read)
    const app = await testAppOver(store)
    const id = await sendWholeFile(app, 'a.txt', bytes)

    const answer = await app.http.inject({ url: `/v1/files/${id}/content`, headers: await app.as() })

    expect(answer.statusCode).toBe(status)
    expect(answer.headers['cache-control']).toBe('no-store')
    for (const name of ['etag', 'content-range', 'content-disposition', 'last-modified', 'accept-ranges'])
      expect(answer.headers[name]).toBeUndefined()
    const { state } = await app.engine.get(userOf('ada', 'creator'), id)
    expect(state).toBe('completed')
  })

  it('never sends more than it announced', async () => {
    const { store } = storeThatReads(async function* () {
      yield bytes
      yield bytes
    })
    const app = await testAppOver(store)
    const id = await sendWholeFile(app, 'a.txt', bytes)

    const answer = await app.http.inject({ url: `/v1/files/${id}/content`, headers: await app.as() })

    expect([answer.statusCode, answer.rawPayload.length]).toEqual([200, size])
  })
})

describe('a client that goes away', () => {
  it('ends the read of the store', async () => {
    const { store, ended } = storeThatReads(async function* () {
      for (;;) yield bytes
    })
    const app = await testAppOver(store)
    const id = await sendWholeFile(app, 'a.txt', Buffer.alloc(20 * 1024 ** 2))

    const connection = await ask(app, id)
    await connection.until(/content-length/)
    connection.cut()

    await ended
  })

  it('gives its place back; without a place the answer is 503', async () => {
    const { store, ended, reads } = storeThatReads(async function* () {
      for (;;) yield bytes
    })
    const app = await testAppOver(store, { DOWNLOADS_AT_ONCE: '1' })
    const id = await sendWholeFile(app, 'a.txt', Buffer.alloc(20 * 1024 ** 2))
    const url = `/v1/files/${id}/content`
    const first = await ask(app, id)
    await first.until(/content-length/)

    const refused = await app.http.inject({ url, headers: await app.as() })
    expect([refused.statusCode, refused.json().error.code]).toEqual([503, 'OVERLOADED'])
    expect(reads()).toBe(1)

    first.cut()
    await ended
    const last = await app.http.inject({ url, headers: { ...(await app.as()), range: 'bytes=0-9' } })
    expect(last.statusCode).toBe(206)
  })
})
