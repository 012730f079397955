import {
  type FileHandle,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { markerKey } from '../../src/core/pairing/marker.ts'
import type { ObjectStore } from '../../src/core/ports/object-store.ts'
import { localStore } from '../../src/stores/local.ts'
import { untilDone } from '../support/until.ts'
import { inChunks, readAll, storeContract } from './contract.ts'

async function open(fsync = false) {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-local-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const store = localStore({ directory, fsync })
  await store.prepare!()
  return {
    directory,
    store,
    openMultiparts: async () => (await readdir(join(directory, '.landfall/staging'))).length,
  }
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

/** Writes half of an object, until the test ends, as a server does that is killed. */
function putHalf(store: ObjectStore, key: string): void {
  const killed = new Promise<never>((_, reject) => onTestFinished(() => reject(new Error('the test has ended'))))
  killed.catch(() => {})
  const bytes = {
    size: 10,
    async *chunks() {
      yield Buffer.alloc(5)
      await killed
    },
  }
  store.put(key, bytes, { contentType: 'text/plain' }).catch(() => {})
}

storeContract('local', () => open(), 100_000, { crc32s: 'all' })

describe('files on disk', () => {
  it.each(['../escape', 'a/../../escape', '/etc/passwd', 'a//b', 'a/./b', 'a/\0b', ''])(
    'are never outside the directory: %j',
    async (key) => {
      const { store } = await open()

      await expect(store.put(key, inChunks(Buffer.from('x')), { contentType: 'text/plain' })).rejects.toThrow(
        'an object key must be',
      )
      await expect(store.createMultipart(key, { contentType: 'text/plain', partSize: 10 })).rejects.toThrow(
        'an object key must be',
      )
    },
  )

  it('are the same with fsync', async () => {
    const { store } = await open(true)
    const multipartId = await store.createMultipart('a/b', { contentType: 'text/plain', partSize: 4 })
    const parts = [
      await store.uploadPart('a/b', multipartId, 1, inChunks(Buffer.from('1234'))),
      await store.uploadPart('a/b', multipartId, 2, inChunks(Buffer.from('5'))),
    ]

    expect(await store.completeMultipart('a/b', multipartId, parts)).toMatchObject({ size: 5 })
  })

  it('leave no empty folders behind when they are removed', async () => {
    const { store, directory } = await open()
    await store.put('a/b/c', inChunks(Buffer.from('x')), { contentType: 'text/plain' })

    await store.remove(['a/b/c'])

    expect(await readdir(directory)).toEqual(['.landfall'])
  })

  it('are cleaned up when a crash interrupted their writing', async () => {
    const { store, directory } = await open()
    const keys = ['a/file', '.landfall/tails/u/1']
    for (const key of keys) putHalf(store, key)
    await untilDone(async () => expect(await filesIn(directory)).toHaveLength(2))

    const restarted = localStore({ directory, fsync: false })
    await restarted.check()
    await restarted.abortMultipart('a/file', null)
    for await (const key of restarted.list('.landfall/tails/u/')) await restarted.remove([key])

    expect(await filesIn(directory)).toEqual([])
  })

  it('of the server itself are cleaned up by the next write, a minute after a crash', async () => {
    const { store, directory } = await open()
    putHalf(store, markerKey)
    putHalf(store, markerKey)
    const [killed, alive] = await untilDone(async () => {
      const files = await filesIn(directory)
      expect(files).toHaveLength(2)
      return files
    })
    const ownFolder = join(directory, '.landfall')
    const twoMinutesAgo = Date.now() / 1000 - 120
    await utimes(join(ownFolder, killed!), twoMinutesAgo, twoMinutesAgo)

    await store.put(markerKey, inChunks(Buffer.from('x')), { contentType: 'text/plain' })

    expect((await filesIn(directory)).toSorted()).toEqual([alive, basename(markerKey)].toSorted())
  })

  it.each([
    ['are read from a broken disk', 'broken'],
    ['belong on another disk', 'elsewhere/a'],
    ['belong where a folder is', 'folder'],
    ['are listed below a circular link', 'circle/'],
    ['belong below a circular link', 'circle/a'],
    ['have a name that is too long', 'x'.repeat(300)],
  ])('fail with STORE_UNAVAILABLE when they %s', async (_, key) => {
    const { store, directory } = await open()
    const elsewhere = await mkdtemp('/dev/shm/landfall-')
    onTestFinished(() => rm(elsewhere, { recursive: true, force: true }))
    await symlink('/proc/self/mem', join(directory, 'broken'))
    await symlink(elsewhere, join(directory, 'elsewhere'))
    await symlink('circle', join(directory, 'circle'))
    await mkdir(join(directory, 'folder/full'), { recursive: true })

    const access = () => {
      if (key === 'broken') return readAll(store, key)
      if (key === 'circle/') return store.list(key)[Symbol.asyncIterator]().next()
      return store.put(key, inChunks(Buffer.from('x')), { contentType: 'text/plain' })
    }

    await expect(access()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await readdir(join(directory, '.landfall/staging')).catch(() => [])).toEqual([])
  })

  it('fail with an error that names no path when the disk does not accept them', async () => {
    const { directory } = await open()
    await writeFile(join(directory, 'file'), '')
    const store = localStore({ directory: join(directory, 'file'), fsync: false })

    const error = await store
      .put('a', inChunks(Buffer.from('x')), { contentType: 'text/plain' })
      .catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((error as Error).message).not.toContain(directory)
    await expect(store.check()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe.runIf(process.platform === 'linux')('an acknowledged write', () => {
  /** Returns a function that lists the folders synced since its last call. */
  async function watchFolders(directory: string): Promise<() => string[]> {
    const probe = await openFile(directory)
    const kind = Object.getPrototypeOf(probe) as FileHandle
    await probe.close()
    const sync = kind.sync
    const synced: string[] = []
    const spy = vi.spyOn(kind, 'sync').mockImplementation(async function (this: FileHandle) {
      synced.push(relative(directory, await readlink(`/proc/self/fd/${this.fd}`)))
      return sync.call(this)
    })
    onTestFinished(() => spy.mockRestore())
    return () => synced.splice(0)
  }

  // A file survives a power failure only when its name is on the disk, and so is the name of each folder above it.
  it.each([
    [
      'a part',
      '.landfall/staging',
      (store: ObjectStore) => store.createMultipart('a', { contentType: 'text/plain', partSize: 4 }),
    ],
    ['a tail object', '.landfall/tails/u', (store: ObjectStore) => put(store, '.landfall/tails/u/1')],
    ['an object', 'a/b', (store: ObjectStore) => put(store, 'a/b/c')],
  ])('of %s has synced its name and those of its folders', async (_, folder, write) => {
    const { directory } = await open(true)
    await mkdir(join(directory, 'new'))
    const store = localStore({ directory: join(directory, 'new'), fsync: true })
    const synced = await watchFolders(join(directory, 'new'))

    await store.prepare!()
    await write(store)

    expect(synced()).toEqual(expect.arrayContaining([folder, dirname(folder), '']))
    await write(store)
    expect(synced().filter((path) => path !== folder)).toEqual([])
  })

  const put = (store: ObjectStore, key: string) =>
    store.put(key, inChunks(Buffer.from('x')), { contentType: 'text/plain' })
})
