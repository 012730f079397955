import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import type { TransferView } from '../../src/client/transfer-view.ts'
import { userOf } from '../../src/core/upload.ts'
import { ada } from '../support/open-engine.ts'
import type { TestApp } from '../support/test-app.ts'
import { fileOf, type OpenUploads, openUploads, type Seen, until } from './open-uploads.ts'

const MiB = 1024 ** 2
const isState = (state: TransferView['state']) => (view: TransferView) => view.state === state
const isCompleted = isState('completed')
const count = (seen: Seen[], wanted: string) => seen.filter(({ method }) => method === wanted).length

/** What the store has of ada's newest upload. */
async function stored(app: TestApp): Promise<Buffer> {
  const [upload] = await app.engine.list(ada, { limit: 1 })
  return buffer(app.store.read(upload!.key))
}

/** Holds the creations that come in from now on until they are let go. */
function holdCreations(app: TestApp, interfere: OpenUploads['interfere']) {
  const created = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  interfere((request, response) => {
    if (request.method !== 'POST') return false
    created.resolve()
    void gone.promise.then(() => app.http.server.emit('request', request, response))
    return true
  })
  return { begun: created.promise, letGo: () => gone.resolve() }
}

describe('sending files', () => {
  it.each([0, 1, 3 * MiB + 7])('brings a file of %i bytes to the server, byte by byte', async (size) => {
    const { app, uploads } = await openUploads()
    const bytes = randomBytes(size)

    const done = await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    expect(done.sent).toBe(size)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('goes on by itself at the recorded offset when the line was cut', async () => {
    const { app, uploads, seen, cutOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutOnce()

    const done = await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    const patches = seen.filter(({ method }) => method === 'PATCH')
    expect(count(seen, 'POST')).toBe(1)
    expect(patches).toHaveLength(2)
    expect(patches[1]!.offset).toBeGreaterThan(0)
    expect(done.resumedAt).toBe(patches[1]!.offset)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('never begins anew because a server in trouble cannot tell the offset', async () => {
    const { app, uploads, seen, interfere, cutOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutOnce()
    let heads = 0
    interfere((request, response) => {
      if (request.method !== 'HEAD' || ++heads > 2) return false
      response.writeHead(503, { 'retry-after': '0' }).end()
      return true
    })

    await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    expect(heads).toBe(3)
    expect(count(seen, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('stops at a refused token, and goes on with the next one where it was', async () => {
    const { app, uploads, seen, interfere, token, cutOnce } = await openUploads()
    const good = token.current
    const bytes = randomBytes(6 * MiB)
    cutOnce()
    interfere(({ method }) => {
      if (method === 'PATCH') token.current = 'expired'
      return false
    })

    const id = uploads.add(fileOf(bytes))
    const stopped = await until(uploads, id, isState('unauthorized'))
    interfere(() => false)
    token.current = good
    uploads.wake()
    const done = await until(uploads, id, isCompleted)

    expect(stopped.failure?.code).toBe('UNAUTHENTICATED')
    expect(done.resumedAt).toBeGreaterThan(0)
    expect(count(seen, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('asks nothing of the server while there is no token', async () => {
    const { uploads, seen, token } = await openUploads()
    const good = token.current
    token.current = null

    const id = uploads.add(fileOf(randomBytes(10)))
    await until(uploads, id, isState('unauthorized'))
    expect(seen).toEqual([])
    token.current = good
    uploads.wake()

    await until(uploads, id, isCompleted)
  })

  it('pauses and resumes', async () => {
    const { app, uploads, seen, interfere } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    interfere(({ method }) => {
      if (method === 'PATCH') uploads.pause(id)
      return false
    })

    const id = uploads.add(fileOf(bytes))
    await until(uploads, id, isState('paused'))
    interfere(() => false)
    uploads.resume(id)
    await until(uploads, id, isCompleted)

    expect(count(seen, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('sends nothing of a file that was paused before its first request, or of those whose turn came meanwhile', async () => {
    const { uploads, seen } = await openUploads({ atOnce: 1 })
    const ids = ['a.bin', 'b.bin', 'c.bin'].map((name) => uploads.add(fileOf(randomBytes(MiB), name)))

    for (const id of ids) uploads.pause(id)
    // Its turn comes after theirs.
    await until(uploads, uploads.add(fileOf(randomBytes(MiB), 'd.bin')), isCompleted)

    expect(uploads.views().filter(({ state }) => state === 'paused')).toHaveLength(3)
    expect(count(seen, 'POST')).toBe(1)
    for (const id of ids) uploads.resume(id)
    await Promise.all(ids.map((id) => until(uploads, id, isCompleted)))
    expect(count(seen, 'POST')).toBe(4)
  })

  it('knows the upload it was paused over while the server made it', async () => {
    const { app, uploads, seen, interfere } = await openUploads()
    const bytes = randomBytes(MiB)
    const creation = holdCreations(app, interfere)

    const id = uploads.add(fileOf(bytes))
    await creation.begun
    uploads.pause(id)
    creation.letGo()
    const paused = await until(uploads, id, ({ url }) => url !== null)
    expect(paused.state).toBe('paused')
    uploads.resume(id)
    await until(uploads, id, isCompleted)

    expect(count(seen, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('leaves nothing on the server of what is cancelled while the server makes it', async () => {
    const { app, uploads, interfere } = await openUploads()
    const creation = holdCreations(app, interfere)

    const id = uploads.add(fileOf(randomBytes(MiB)))
    await creation.begun
    const cancelled = uploads.cancel(id)
    creation.letGo()
    await cancelled

    await expect.poll(async () => (await app.engine.list(ada, { limit: 1 }))[0]?.state).toBe('cancelled')
  })

  it('leaves one upload on the server of what is paused and resumed while the server makes it', async () => {
    const { app, uploads, interfere } = await openUploads()
    const creation = holdCreations(app, interfere)

    const id = uploads.add(fileOf(randomBytes(MiB)))
    await creation.begun
    uploads.pause(id)
    uploads.resume(id)
    creation.letGo()
    await until(uploads, id, isCompleted)

    const states = async () => (await app.engine.list(ada, { limit: 2 })).map(({ state }) => state).sort()
    await expect.poll(states).toEqual(['cancelled', 'completed'])
  })

  it('goes on with a file that is given again after a reload', async () => {
    const { app, uploads, visitAgain, seen, cutOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutOnce()
    const first = uploads.add(fileOf(bytes))
    await until(uploads, first, isState('waiting'))
    uploads.pause(first)

    const later = visitAgain()
    const done = await until(later, later.add(fileOf(bytes)), isCompleted)

    expect(done.resumedAt).toBeGreaterThan(0)
    expect(count(seen, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('begins anew with a file that was changed since', async () => {
    const { uploads, visitAgain, seen, cutOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutOnce()
    const first = uploads.add(fileOf(bytes))
    await until(uploads, first, isState('waiting'))
    uploads.pause(first)

    const later = visitAgain()
    const done = await until(later, later.add(fileOf(bytes, 'film.bin', 2)), isCompleted)

    expect(done.resumedAt).toBe(0)
    expect(count(seen, 'POST')).toBe(2)
  })

  it('begins anew, and says so, when the server has given the earlier upload up', async () => {
    const { app, uploads, visitAgain, cutOnce } = await openUploads()
    const bytes = randomBytes(6 * MiB)
    cutOnce()
    const first = uploads.add(fileOf(bytes))
    await until(uploads, first, isState('waiting'))
    uploads.pause(first)
    const [upload] = await app.engine.list(ada, { limit: 1 })
    await app.engine.cancel(ada, upload!.id)

    const later = visitAgain()
    const done = await until(later, later.add(fileOf(bytes)), isCompleted)

    expect(done.isAnew).toBe(true)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('fails, and keeps the decision for a person, when the upload vanishes in the middle', async () => {
    const { app, uploads, seen, interfere, cutOnce } = await openUploads()
    cutOnce()
    interfere((request, response) => {
      if (request.method !== 'HEAD') return false
      response.writeHead(410).end()
      return true
    })
    const bytes = randomBytes(6 * MiB)

    const id = uploads.add(fileOf(bytes))
    const failed = await until(uploads, id, isState('failed'))
    expect(failed.failure?.code).toBe('UPLOAD_GONE')
    expect(count(seen, 'POST')).toBe(1)
    interfere(() => false)
    uploads.resume(id)
    await until(uploads, id, isCompleted)

    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('sends shorter bodies when something in between refuses long ones', async () => {
    const { app, uploads, seen, interfere } = await openUploads()
    const bytes = randomBytes(20 * MiB)
    interfere((request, response) => {
      if (Number(request.headers['content-length'] ?? 0) <= 5 * MiB) return false
      response.writeHead(413, { 'content-type': 'text/html' }).end('<html>too large</html>')
      request.resume()
      return true
    })

    await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    expect(count(seen, 'POST')).toBe(1)
    expect((await stored(app)).equals(bytes)).toBe(true)
  })

  it('lets only so many files travel at the same time', async () => {
    const { uploads } = await openUploads({ atOnce: 2 })
    let most = 0
    uploads.subscribe(() => {
      const running = uploads.views().filter(({ state }) => state === 'sending' || state === 'finishing')
      most = Math.max(most, running.length)
    })

    const ids = [1, 2, 3, 4, 5].map((n) => uploads.add(fileOf(randomBytes(MiB), `file-${n}.bin`)))
    await Promise.all(ids.map((id) => until(uploads, id, isCompleted)))

    expect(most).toBe(2)
  })

  it('does not send a file twice that is on its way already', async () => {
    const { uploads, seen, interfere } = await openUploads()
    interfere(({ method }) => method === 'PATCH')
    const bytes = randomBytes(MiB)

    const first = uploads.add(fileOf(bytes))
    await until(uploads, first, ({ url }) => url !== null)
    const second = uploads.add(fileOf(bytes))

    expect(second).toBe(first)
    expect(uploads.views()).toHaveLength(1)
    expect(count(seen, 'POST')).toBe(1)
    await uploads.cancel(first)
  })

  it('sends files of one name, length and time from different folders, each for itself', async () => {
    const { uploads, seen } = await openUploads()
    const inFolder = (path: string) =>
      Object.assign(fileOf(Buffer.alloc(0), '__init__.py'), { webkitRelativePath: path })

    const ids = ['a/__init__.py', 'b/__init__.py'].map((path) => uploads.add(inFolder(path)))
    await Promise.all(ids.map((id) => until(uploads, id, isCompleted)))

    expect(new Set(ids).size).toBe(2)
    expect(count(seen, 'POST')).toBe(2)
  })

  it('does not say of a file that it failed once it is given again', async () => {
    const { uploads, interfere } = await openUploads()
    const bytes = randomBytes(MiB)
    interfere((_, response) => Boolean(response.writeHead(403).end()))
    await until(uploads, uploads.add(fileOf(bytes)), isState('failed'))
    interfere(() => false)

    await until(uploads, uploads.add(fileOf(bytes)), isCompleted)

    expect(uploads.views().map(({ state }) => state)).toEqual(['completed'])
  })

  it('leaves nothing on the server of what is cancelled', async () => {
    const { app, uploads, interfere } = await openUploads()
    interfere(({ method }) => method === 'PATCH')

    const id = uploads.add(fileOf(randomBytes(MiB)))
    await until(uploads, id, ({ url }) => url !== null)
    await uploads.cancel(id)

    expect(uploads.views()).toEqual([])
    expect((await app.engine.list(ada, { limit: 1 }))[0]?.state).toBe('cancelled')
    expect(app.store.objects.size).toBe(0)
  })

  it('notices a line that is dead and does not say so', async () => {
    const { uploads, interfere } = await openUploads({ stallMs: 300, finishStallMs: 300 })
    let isDead = true
    interfere(({ method }) => method === 'PATCH' && isDead)

    const id = uploads.add(fileOf(randomBytes(MiB)))
    const waiting = await until(uploads, id, isState('waiting'))
    isDead = false

    expect(waiting.failure?.code).toBe('NO_ANSWER')
    await until(uploads, id, isCompleted)
  })

  it('tells a file that cannot be read any more from a dead line', async () => {
    const { uploads, interfere } = await openUploads()
    interfere((request) => {
      request.socket.destroy()
      return true
    })
    const file = { ...facts, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('NotReadableError')) }) }

    const failed = await until(uploads, uploads.add(file), isState('failed'))

    expect(failed.failure?.code).toBe('FILE_UNREADABLE')
  })

  it('takes the server’s word for it that a file may not be sent', async () => {
    const { uploads, app, token } = await openUploads()
    token.current = (await app.as(userOf('bob', 'subscriber'))).authorization.slice('Bearer '.length)

    const failed = await until(uploads, uploads.add(fileOf(randomBytes(10))), isState('failed'))

    expect(failed.failure).toMatchObject({ code: 'TYPE_NOT_ALLOWED', status: 415 })
    expect(failed.failure?.message).toMatch(/subscriber/)
  })
})

const facts = { name: 'film.bin', type: '', size: 100, lastModified: 1 }
