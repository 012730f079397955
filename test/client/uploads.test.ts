import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import type { TransferView } from '../../src/client/transfer-view.ts'
import { userOf } from '../../src/core/upload.ts'
import { ada } from '../support/open-engine.ts'
import type { TestApp } from '../support/test-app.ts'
import { fileOf, type OpenUploads, openUploads, type RecordedRequest, until } from './open-uploads.ts'

const MiB = 1024 ** 2
const isState = (state: TransferView['state']) => (view: TransferView) => view.state === state
const isCompleted = isState('completed')
const count = (requests: RecordedRequest[], method: string) =>
  requests.filter((request) => request.method === method).length

/** The bytes of ada's newest upload in the store. */
async function stored(app: TestApp): Promise<Buffer> {
  const [upload] = await app.engine.list(ada, { limit: 1 })
  return buffer(app.store.read(upload!.key))
}

/** Holds back creation requests until `release` is called. */
function holdCreations(app: TestApp, intercept: OpenUploads['intercept']) {
  const created = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  intercept((request, response) => {
    if (request.method !== 'POST') return false
    created.resolve()
    void released.promise.then(() => app.http.server.emit('request', request, response))
    return true
  })
  return { received: created.promise, release: () => released.resolve() }
}

describe('uploading files', () => {
  it.each([0, 1, 3 * MiB + 7])('stores a file of %i bytes unchanged', async (size) => {
    const { app, uploads } = await openUploads()
    const bytes = randomBytes(size)

    const done = await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    expect(done.sent).toBe(size)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('resumes at the recorded offset after the connection was cut', async () => {
    const { app, uploads, requests, cutConnectionOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutConnectionOnce()

    const done = await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    const patches = requests.filter(({ method }) => method === 'PATCH')
    expect(count(requests, 'POST')).toBe(1)
    expect(patches).toHaveLength(2)
    expect(patches[1]!.offset).toBeGreaterThan(0)
    expect(done.resumedAt).toBe(patches[1]!.offset)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('does not start at zero while the server cannot return the offset', async () => {
    const { app, uploads, requests, intercept, cutConnectionOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutConnectionOnce()
    let heads = 0
    intercept((request, response) => {
      if (request.method !== 'HEAD' || ++heads > 2) return false
      response.writeHead(503, { 'retry-after': '0' }).end()
      return true
    })

    await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    expect(heads).toBe(3)
    expect(count(requests, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('stops when the token is refused, and resumes with the next one', async () => {
    const { app, uploads, requests, intercept, token, cutConnectionOnce } = await openUploads()
    const good = token.current
    const bytes = randomBytes(6 * MiB)
    cutConnectionOnce()
    intercept(({ method }) => {
      if (method === 'PATCH') token.current = 'expired'
      return false
    })

    const id = uploads.add(fileOf(bytes))
    const stopped = await until(uploads, id, isState('unauthorized'))
    intercept(() => false)
    token.current = good
    uploads.wake()
    const done = await until(uploads, id, isCompleted)

    expect(stopped.failure?.code).toBe('UNAUTHENTICATED')
    expect(done.resumedAt).toBeGreaterThan(0)
    expect(count(requests, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('sends no request while there is no token', async () => {
    const { uploads, requests, token } = await openUploads()
    const good = token.current
    token.current = null

    const id = uploads.add(fileOf(randomBytes(10)))
    await until(uploads, id, isState('unauthorized'))
    expect(requests).toEqual([])
    token.current = good
    uploads.wake()

    await until(uploads, id, isCompleted)
  })

  it('pauses and resumes', async () => {
    const { app, uploads, requests, intercept } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    intercept(({ method }) => {
      if (method === 'PATCH') uploads.pause(id)
      return false
    })

    const id = uploads.add(fileOf(bytes))
    await until(uploads, id, isState('paused'))
    intercept(() => false)
    uploads.resume(id)
    await until(uploads, id, isCompleted)

    expect(count(requests, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('sends nothing of files that were paused before their first request', async () => {
    const { uploads, requests } = await openUploads({ concurrency: 1 })
    const ids = ['a.bin', 'b.bin', 'c.bin'].map((name) => uploads.add(fileOf(randomBytes(MiB), name)))

    for (const id of ids) uploads.pause(id)
    // This file is queued after the paused ones.
    await until(uploads, uploads.add(fileOf(randomBytes(MiB), 'd.bin')), isCompleted)

    expect(uploads.views().filter(({ state }) => state === 'paused')).toHaveLength(3)
    expect(count(requests, 'POST')).toBe(1)
    for (const id of ids) uploads.resume(id)
    await Promise.all(ids.map((id) => until(uploads, id, isCompleted)))
    expect(count(requests, 'POST')).toBe(4)
  })

  it('resumes the upload that was created while the transfer was paused', async () => {
    const { app, uploads, requests, intercept } = await openUploads()
    const bytes = randomBytes(MiB)
    const creation = holdCreations(app, intercept)

    const id = uploads.add(fileOf(bytes))
    await creation.received
    uploads.pause(id)
    creation.release()
    const paused = await until(uploads, id, ({ url }) => url !== null)
    expect(paused.state).toBe('paused')
    uploads.resume(id)
    await until(uploads, id, isCompleted)

    expect(count(requests, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('deletes an upload that is cancelled while the server creates it', async () => {
    const { app, uploads, intercept } = await openUploads()
    const creation = holdCreations(app, intercept)

    const id = uploads.add(fileOf(randomBytes(MiB)))
    await creation.received
    const cancelled = uploads.cancel(id)
    creation.release()
    await cancelled

    await expect.poll(async () => (await app.engine.list(ada, { limit: 1 }))[0]?.state).toBe('cancelled')
  })

  it('leaves one upload when paused and resumed while the server creates it', async () => {
    const { app, uploads, intercept } = await openUploads()
    const creation = holdCreations(app, intercept)

    const id = uploads.add(fileOf(randomBytes(MiB)))
    await creation.received
    uploads.pause(id)
    uploads.resume(id)
    creation.release()
    await until(uploads, id, isCompleted)

    const states = async () => (await app.engine.list(ada, { limit: 2 })).map(({ state }) => state).sort()
    await expect.poll(states).toEqual(['cancelled', 'completed'])
  })

  it('resumes a file that is added again after a reload', async () => {
    const { app, uploads, reopenPage, requests, cutConnectionOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutConnectionOnce()
    const first = uploads.add(fileOf(bytes))
    await until(uploads, first, isState('waiting'))
    uploads.pause(first)

    const later = reopenPage()
    const done = await until(later, later.add(fileOf(bytes)), isCompleted)

    expect(done.resumedAt).toBeGreaterThan(0)
    expect(count(requests, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('starts at zero with a file that was changed', async () => {
    const { uploads, reopenPage, requests, cutConnectionOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutConnectionOnce()
    const first = uploads.add(fileOf(bytes))
    await until(uploads, first, isState('waiting'))
    uploads.pause(first)

    const later = reopenPage()
    const done = await until(later, later.add(fileOf(bytes, 'film.bin', 2)), isCompleted)

    expect(done.resumedAt).toBe(0)
    expect(count(requests, 'POST')).toBe(2)
  })

  it('starts at zero, and says so, when the server has lost the earlier upload', async () => {
    const { app, uploads, reopenPage, cutConnectionOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutConnectionOnce()
    const first = uploads.add(fileOf(bytes))
    await until(uploads, first, isState('waiting'))
    uploads.pause(first)
    const [upload] = await app.engine.list(ada, { limit: 1 })
    await app.engine.cancel(ada, upload!.id)

    const later = reopenPage()
    const done = await until(later, later.add(fileOf(bytes)), isCompleted)

    expect(done.isRestarted).toBe(true)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('fails, and waits for the user, when the upload disappears', async () => {
    const { app, uploads, requests, intercept, cutConnectionOnce } = await openUploads()
    cutConnectionOnce()
    intercept((request, response) => {
      if (request.method !== 'HEAD') return false
      response.writeHead(410).end()
      return true
    })
    const bytes = randomBytes(6 * MiB)

    const id = uploads.add(fileOf(bytes))
    const failed = await until(uploads, id, isState('failed'))
    expect(failed.failure?.code).toBe('UPLOAD_GONE')
    expect(count(requests, 'POST')).toBe(1)
    intercept(() => false)
    uploads.resume(id)
    await until(uploads, id, isCompleted)

    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('sends shorter bodies when a proxy refuses long ones', async () => {
    const { app, uploads, requests, intercept } = await openUploads()
    const bytes = randomBytes(20 * MiB)
    intercept((request, response) => {
      if (Number(request.headers['content-length'] ?? 0) <= 5 * MiB) return false
      response.writeHead(413, { 'content-type': 'text/html' }).end('<html>too large</html>')
      request.resume()
      return true
    })

    await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    expect(count(requests, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('sends only a limited number of files at the same time', async () => {
    const { uploads } = await openUploads({ concurrency: 2 })
    let max = 0
    uploads.subscribe(() => {
      const running = uploads.views().filter(({ state }) => state === 'sending' || state === 'finishing')
      max = Math.max(max, running.length)
    })

    const ids = [1, 2, 3, 4, 5].map((n) => uploads.add(fileOf(randomBytes(MiB), `file-${n}.bin`)))
    await Promise.all(ids.map((id) => until(uploads, id, isCompleted)))

    expect(max).toBe(2)
  })

  it('does not send a file twice that is being sent already', async () => {
    const { uploads, requests, intercept } = await openUploads()
    intercept(({ method }) => method === 'PATCH')
    const bytes = randomBytes(MiB)

    const first = uploads.add(fileOf(bytes))
    await until(uploads, first, ({ url }) => url !== null)
    const second = uploads.add(fileOf(bytes))

    expect(second).toBe(first)
    expect(uploads.views()).toHaveLength(1)
    expect(count(requests, 'POST')).toBe(1)
    await uploads.cancel(first)
  })

  it('sends files separately that differ only in their folder', async () => {
    const { uploads, requests } = await openUploads()
    const inFolder = (path: string) =>
      Object.assign(fileOf(Buffer.alloc(0), '__init__.py'), { webkitRelativePath: path })

    const ids = ['a/__init__.py', 'b/__init__.py'].map((path) => uploads.add(inFolder(path)))
    await Promise.all(ids.map((id) => until(uploads, id, isCompleted)))

    expect(new Set(ids).size).toBe(2)
    expect(count(requests, 'POST')).toBe(2)
  })

  it('replaces a failed file that is added again', async () => {
    const { uploads, intercept } = await openUploads()
    const bytes = randomBytes(MiB)
    intercept((_, response) => Boolean(response.writeHead(403).end()))
    await until(uploads, uploads.add(fileOf(bytes)), isState('failed'))
    intercept(() => false)

    await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    expect(uploads.views().map(({ state }) => state)).toEqual(['completed'])
  })

  it('deletes a cancelled upload on the server', async () => {
    const { app, uploads, intercept } = await openUploads()
    intercept(({ method }) => method === 'PATCH')

    const id = uploads.add(fileOf(randomBytes(MiB)))
    await until(uploads, id, ({ url }) => url !== null)
    await uploads.cancel(id)

    expect(uploads.views()).toEqual([])
    expect((await app.engine.list(ada, { limit: 1 }))[0]?.state).toBe('cancelled')
    expect(app.store.objects.size).toBe(0)
  })

  it('detects a dead connection without an error', async () => {
    const { uploads, intercept } = await openUploads({ stallMs: 300, finishStallMs: 300 })
    let isDead = true
    intercept(({ method }) => method === 'PATCH' && isDead)

    const id = uploads.add(fileOf(randomBytes(MiB)))
    const waiting = await until(uploads, id, isState('waiting'))
    isDead = false

    expect(waiting.failure?.code).toBe('NO_ANSWER')
    await until(uploads, id, isCompleted)
  })

  it('distinguishes an unreadable file from a dead connection', async () => {
    const { uploads, intercept } = await openUploads()
    intercept((request) => {
      request.socket.destroy()
      return true
    })
    const file = { ...facts, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('NotReadableError')) }) }

    const failed = await until(uploads, uploads.add(file), isState('failed'))

    expect(failed.failure?.code).toBe('FILE_UNREADABLE')
  })

  it('fails with the error of the server when a file is not allowed', async () => {
    const { uploads, app, token } = await openUploads()
    token.current = (await app.as(userOf('bob', 'subscriber'))).authorization.slice('Bearer '.length)

    const failed = await until(uploads, uploads.add(fileOf(randomBytes(10))), isState('failed'))

    expect(failed.failure).toMatchObject({ code: 'TYPE_NOT_ALLOWED', status: 415 })
    expect(failed.failure?.message).toMatch(/subscriber/)
  })
})

const facts = { name: 'film.bin', type: '', size: 100, lastModified: 1 }
