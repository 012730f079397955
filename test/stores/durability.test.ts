import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { localStore } from '../../src/stores/local.ts'
import { inChunks } from './contract.ts'
import { watchDisk } from './disk-model.ts'

const text = { contentType: 'text/plain' }

describe.runIf(process.platform === 'linux')('what the local store acknowledges survives a power failure', () => {
  async function open() {
    const root = await mkdtemp(join(tmpdir(), 'landfall-durable-'))
    onTestFinished(() => rm(root, { recursive: true, force: true }))
    const disk = await watchDisk()
    const store = localStore({ directory: root, fsync: true })
    await store.prepare!()
    const staged = async () => {
      const [name] = await readdir(join(root, '.landfall/staging'))
      return join(root, '.landfall/staging', name!)
    }
    return { root, disk, store, staged, survives: (key: string) => disk.survives(join(root, key), root) }
  }

  it.each([
    ['an object', 'a/b/c', { ...text, isNew: true }],
    ['an object that replaces another', 'a/b/c', text],
    ['a tail object', '.landfall/tails/u/1', text],
  ])('%s', async (_, key, metadata) => {
    const { store, disk, survives } = await open()

    await store.put(key, inChunks(Buffer.from('x')), metadata)

    expect(survives(key)).toBe(true)
    expect(disk.namedTooEarly).toEqual([])
  })

  it('a part, and the object that is made of parts', async () => {
    const { store, disk, root, staged, survives } = await open()
    const multipartId = await store.createMultipart('a/b', { ...text, partSize: 4 })
    const parts = [await store.uploadPart('a/b', multipartId, 1, inChunks(Buffer.from('1234')))]
    expect(disk.survives(await staged(), root)).toBe(true)

    parts.push(await store.uploadPart('a/b', multipartId, 2, inChunks(Buffer.from('56'))))
    await store.uploadPart('a/b', multipartId, 3, inChunks(Buffer.from('7')))
    await store.completeMultipart('a/b', multipartId, parts)

    expect(survives('a/b')).toBe(true)
    expect(disk.namedTooEarly).toEqual([])
  })

  it('a part that is copied', async () => {
    const { store, disk, root, staged } = await open()
    await store.put('source', inChunks(Buffer.from('0123456789')), text)
    const multipartId = await store.createMultipart('a', { ...text, partSize: 4 })

    await store.copyPart('a', multipartId, 1, { key: 'source', start: 2, end: 6 })

    expect(disk.survives(await staged(), root)).toBe(true)
  })

  it('each of many objects that share the syncs of their new folder', async () => {
    const { store, disk, survives, root } = await open()
    const keys = Array.from({ length: 40 }, (_, number) => `user/today/${number}`)

    const survived = await Promise.all(
      keys.map(async (key) => {
        await store.put(key, inChunks(Buffer.from(key)), { ...text, isNew: true })
        return survives(key)
      }),
    )

    expect(survived).not.toContain(false)
    expect(disk.syncedFolders.filter((path) => path === join(root, 'user/today')).length).toBeLessThan(keys.length)
  })

  it('an object that an attempt without an answer had named, in another process', async () => {
    const { store, root, survives } = await open()
    const unsynced = localStore({ directory: root, fsync: false })
    await unsynced.put('a/b', inChunks(Buffer.from('x')), { ...text, isNew: true })
    const multipartId = await store.createMultipart('c/d', { ...text, partSize: 4 })
    const parts = [await store.uploadPart('c/d', multipartId, 1, inChunks(Buffer.from('1234')))]
    await unsynced.completeMultipart('c/d', multipartId, parts)

    await store.put('a/b', inChunks(Buffer.from('x')), { ...text, isNew: true })
    await store.completeMultipart('c/d', multipartId, parts)

    expect(survives('a/b')).toBe(true)
    expect(survives('c/d')).toBe(true)
  })
})
