import {
  type FileHandle,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ObjectStore } from '../../src/core/ports.ts'
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

storeContract('local', () => open(), 100_000)

describe('files on disk', () => {
  it.each(['../escape', 'a/../../escape', '/etc/passwd', 'a//b', 'a/./b', 'a/\0b', ''])(
    'never leave the directory: %j',
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

  it('are the same with every byte forced to the disk', async () => {
    const { store } = await open(true)
    const handle = await store.createMultipart('a/b', { contentType: 'text/plain', partSize: 4 })
    const parts = [
      await store.uploadPart('a/b', handle, 1, inChunks(Buffer.from('1234'))),
      await store.uploadPart('a/b', handle, 2, inChunks(Buffer.from('5'))),
    ]

    expect(await store.completeMultipart('a/b', handle, parts)).toMatchObject({ size: 5 })
  })

  it('leave no folders behind when they go', async () => {
    const { store, directory } = await open()
    await store.put('a/b/c', inChunks(Buffer.from('x')), { contentType: 'text/plain' })

    await store.remove(['a/b/c'])

    expect(await readdir(directory)).toEqual(['.landfall'])
  })

  it('are found again when a crash cut the writing off, and nothing is left of them', async () => {
    const { store, directory } = await open()
    const cutOff = {
      size: 10,
      async *chunks() {
        yield Buffer.alloc(5)
        await new Promise<never>(() => {})
      },
    }
    const keys = ['a/file', '.landfall/tails/u/1']
    for (const key of keys) void store.put(key, cutOff, { contentType: 'text/plain' })
    await untilDone(async () => expect(await filesIn(directory)).toHaveLength(2))

    const afterwards = localStore({ directory, fsync: false })
    await afterwards.check()
    await afterwards.abortMultipart('a/file', null)
    for await (const key of afterwards.list('.landfall/tails/u/')) await afterwards.remove([key])

    expect(await filesIn(directory)).toEqual([])
  })

  it.each([
    ['are read from a broken disk', 'broken'],
    ['belong on another disk', 'elsewhere/a'],
    ['belong where a folder is', 'folder'],
    ['are listed below a link that leads nowhere', 'circle/'],
    ['belong below a link that leads nowhere', 'circle/a'],
    ['have a name that no disk takes', 'x'.repeat(300)],
  ])('are not to be had now, in those words, when they %s', async (_, key) => {
    const { store, directory } = await open()
    const elsewhere = await mkdtemp('/dev/shm/landfall-')
    onTestFinished(() => rm(elsewhere, { recursive: true, force: true }))
    await symlink('/proc/self/mem', join(directory, 'broken'))
    await symlink(elsewhere, join(directory, 'elsewhere'))
    await symlink('circle', join(directory, 'circle'))
    await mkdir(join(directory, 'folder/full'), { recursive: true })

    const ask = () => {
      if (key === 'broken') return readAll(store, key)
      if (key === 'circle/') return store.list(key)[Symbol.asyncIterator]().next()
      return store.put(key, inChunks(Buffer.from('x')), { contentType: 'text/plain' })
    }

    await expect(ask()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await readdir(join(directory, '.landfall/staging')).catch(() => [])).toEqual([])
  })

  it('say in words for the client when the disk does not take them, and name no path', async () => {
    const { directory } = await open()
    await writeFile(join(directory, 'file'), '')
    const store = localStore({ directory: join(directory, 'file'), fsync: false })

    const refused = await store
      .put('a', inChunks(Buffer.from('x')), { contentType: 'text/plain' })
      .catch((error: unknown) => error)

    expect(refused).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((refused as Error).message).not.toContain(directory)
    await expect(store.check()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe.runIf(process.platform === 'linux')('what has been acknowledged', () => {
  /** The folders that are forced to the disk from now on. */
  async function watchFolders(directory: string): Promise<() => string[]> {
    const probe = await openFile(directory)
    const kind = Object.getPrototypeOf(probe) as FileHandle
    await probe.close()
    const sync = kind.sync
    const seen: string[] = []
    const spy = vi.spyOn(kind, 'sync').mockImplementation(async function (this: FileHandle) {
      seen.push(relative(directory, await readlink(`/proc/self/fd/${this.fd}`)))
      return sync.call(this)
    })
    onTestFinished(() => spy.mockRestore())
    return () => seen.splice(0)
  }

  // A file is found after a loss of power when its name is on the disk: that of each folder above it stands in the next one.
  it.each([
    [
      'a part',
      '.landfall/staging',
      (store: ObjectStore) => store.createMultipart('a', { contentType: 'text/plain', partSize: 4 }),
    ],
    ['a piece', '.landfall/tails/u', (store: ObjectStore) => put(store, '.landfall/tails/u/1')],
    ['an object', 'a/b', (store: ObjectStore) => put(store, 'a/b/c')],
  ])('has its name on the disk, and those of its folders: %s', async (_, folder, write) => {
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
