import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadConfig } from '../src/config.ts'
import { UploadError } from '../src/core/errors/error.ts'
import { guardStore } from '../src/core/pairing/guarded-store.ts'
import { markerKey, type PairingState, probeKey, readMarker, writeMarker } from '../src/core/pairing/marker.ts'
import { NoSuchUpload } from '../src/core/ports.ts'
import { type Database, openDatabase } from '../src/db/open.ts'
import { pairingsIn } from '../src/db/pairing.ts'
import { openPairing } from '../src/pairing.ts'
import { openStore } from '../src/stores/index.ts'
import { localStore } from '../src/stores/local.ts'
import { inChunks } from './stores/contract.ts'
import { memoryStore } from './support/memory-store.ts'
import { freshDatabase } from './support/postgres.ts'
import { startS3StandIn } from './support/s3-stand-in.ts'
import { untilDone } from './support/until.ts'

const about = { contentType: 'text/plain' }
const bytes = (text: string) => inChunks(Buffer.from(text))

describe('at the start', () => {
  it('a database and a store that are both new become a pair, and stay one', async () => {
    const { pairings, store } = await newPair()

    const first = await readMarker(store)
    await openPairing({ pairings, store })

    expect(first).toMatchObject({ epoch: 1, storeId: (await pairings.find())!.storeId })
    expect((await readMarker(store))!.storeId).toBe(first!.storeId)
  })

  it('several servers that start at once make one pair', async () => {
    const { pairings, store } = await unpaired()

    await Promise.all([1, 2, 3].map(() => openPairing({ pairings, store })))

    expect((await readMarker(store))!.storeId).toBe((await pairings.find())!.storeId)
  })

  it('a pairing that was cut off before the marker was written is finished', async () => {
    const { pairings, store } = await unpaired()
    store.fault = (call, at) => {
      if (call === 'put' && at === 'before') throw new UploadError('STORE_UNAVAILABLE', 'Away.')
    }
    await expect(openPairing({ pairings, store })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}

    await openPairing({ pairings, store })

    expect((await readMarker(store))!.storeId).toBe((await pairings.find())!.storeId)
  })

  it('an empty database is refused the store of another one, with the remedy', async () => {
    const { store } = await newPair()
    const { pairings } = await unpaired()

    await expect(openPairing({ pairings, store })).rejects.toThrow(/restore adopt.*store pair --replace/)
    expect(await pairings.find()).toBeNull()
  })

  it('a known store without its marker is waited for, and the remedy is said', async () => {
    const { pairings } = await newPair()

    await expect(openPairing({ pairings, store: memoryStore() })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/not mounted.*store pair --replace/),
    })
  })

  it('the store of another database is refused', async () => {
    const [one, other] = [await newPair(), await newPair()]

    await expect(openPairing({ pairings: one.pairings, store: other.store })).rejects.toMatchObject({
      code: 'STORE_MISMATCH',
    })
  })

  it('a marker that cannot be read is no marker that is missing', async () => {
    const { pairings, bare } = await newPair()
    await bare.put(markerKey, bytes('{"storeId":'), about)

    await expect(openPairing({ pairings, store: bare })).rejects.toMatchObject({
      message: expect.stringMatching(/read/),
    })
  })
})

describe('a bucket whose key may not list it', () => {
  it('becomes the pair of a new database, is known again, and is refused to another one', async () => {
    const [{ pairings }, other] = [await unpaired(), await unpaired()]
    const server = await startS3StandIn({ unlisted: true })
    const open = () => {
      const store = openStore('s3', loadConfig({ ...server.settings, STORE: 's3' }))
      onTestFinished(() => store.close())
      return store
    }
    onTestFinished(() => server.close())

    await openPairing({ pairings, store: open() })
    await openPairing({ pairings, store: open() })

    await expect(openPairing({ pairings: other.pairings, store: open() })).rejects.toMatchObject({
      code: 'STORE_MISMATCH',
    })
    await server.removeObject(markerKey)
    await expect(openPairing({ pairings, store: open() })).rejects.toThrow(/has no marker/)
  })
})

describe('while a server runs', () => {
  it.each<[string, (pair: Awaited<ReturnType<typeof newPair>>) => Promise<unknown>]>([
    ['is emptied', async ({ bare }) => bare.remove([markerKey])],
    [
      'becomes another one',
      async ({ bare }) =>
        writeMarker(bare, {
          storeId: '00000000-0000-4000-8000-000000000000',
          databaseId: '00000000-0000-4000-8000-000000000000',
          epoch: 1,
          counter: 1,
        }),
    ],
  ])('a store that %s takes nothing, loses nothing and is not ready, until it is right again', async (_, leave) => {
    const pair = await newPair()
    const { bare, store, pairing, said } = pair
    const marker = (await readMarker(bare))!
    const handle = await store.createMultipart('k', { ...about, partSize: 5 })

    await leave(pair)
    await pairing.confirmAnew().catch(() => {})

    const away = { code: 'STORE_UNAVAILABLE' }
    await expect(store.put('a', bytes('a'), about)).rejects.toMatchObject(away)
    await expect(store.uploadPart('k', handle, 1, bytes('hello'))).rejects.toMatchObject(away)
    await expect(store.completeMultipart('k', 'other', [])).rejects.toMatchObject(away)
    await expect(store.stat('nothing')).rejects.toMatchObject(away)
    await expect(readAll(store, 'nothing')).rejects.toMatchObject(away)
    await expect(store.remove(['a'])).rejects.toMatchObject(away)
    await expect(store.abortMultipart('k', null)).rejects.toMatchObject(away)
    await expect(pairing.check()).rejects.toThrow(/marker/)
    await expect(pairing.confirmForCreation()).rejects.toMatchObject(away)
    expect(await pairing.mayRemove()).toBe(false)

    await writeMarker(bare, marker)
    await untilDone(() => store.uploadPart('k', handle, 1, bytes('hello')))
    await expect(pairing.check()).resolves.toBeUndefined()
    expect(said.map(({ is }) => is)).toEqual(['apart', 'paired'])
  })

  it('an answer that says "not there" is passed on when the store is the right one', async () => {
    const { store } = await newPair()

    expect(await store.stat('nothing')).toBeNull()
    await expect(store.completeMultipart('k', 'none', [])).rejects.toBeInstanceOf(NoSuchUpload)
  })

  it('is not ready when the store takes no bytes, though everything else works', async () => {
    const { bare, pairing } = await newPair()
    bare.fault = (call) => {
      if (call === 'put') throw new UploadError('STORE_UNAVAILABLE', 'AccessDenied')
    }

    await expect(pairing.check()).rejects.toThrow('the store cannot be used: AccessDenied')
    bare.fault = () => {}
    await expect(pairing.check()).resolves.toBeUndefined()
  })

  it('is not ready when the store does not find what was just written', async () => {
    const { bare, pairing } = await newPair()
    bare.fault = (call) => {
      if (call === 'stat') throw new UploadError('STORE_UNAVAILABLE', 'AccessDenied')
    }

    await expect(pairing.check()).rejects.toThrow('AccessDenied')
  })

  it('is not ready at once when an upload was refused by the store, and ready when it takes bytes again', async () => {
    const { bare, store, pairing } = await newPair()
    await pairing.check()
    bare.fault = (call) => {
      if (call === 'put' || call === 'uploadPart') throw new UploadError('STORE_UNAVAILABLE', 'AccessDenied')
    }
    await expect(pairing.check()).resolves.toBeUndefined()

    await expect(store.uploadPart('k', 'handle', 1, bytes('hello'))).rejects.toThrow()

    await expect(pairing.check()).rejects.toThrow('AccessDenied')
    bare.fault = () => {}
    await expect(pairing.check()).resolves.toBeUndefined()
  })

  it.each(['put', 'createMultipart', 'completeMultipart'] as const)(
    'what is written by %s is not acknowledged when the store was another one by then',
    async (call) => {
      const { bare, store } = await newPair()
      const marker = (await readMarker(bare))!
      const handle = await store.createMultipart('k', { ...about, partSize: 5 })
      const part = await store.uploadPart('k', handle, 1, bytes('hello'))
      bare.fault = (name, at, key) => {
        if (name === call && at === 'after' && key !== markerKey) return bare.remove([markerKey])
      }

      let doubts = 0
      const write = {
        put: () => store.put('a', bytes('a'), about),
        createMultipart: () => store.createMultipart('b', { ...about, partSize: 5, onDoubt: () => (doubts += 1) }),
        completeMultipart: () => store.completeMultipart('k', handle, [part]),
      }[call]
      await expect(write()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

      bare.fault = () => {}
      await writeMarker(bare, marker)
      await untilDone(async () => void (await write()))
      expect(doubts).toBe(call === 'createMultipart' ? 1 : 0)
    },
  )

  it('many writes at once share the look for the marker that follows them', async () => {
    const { bare, store } = await newPair()
    let looks = 0
    bare.fault = (call, at, key) => {
      if (call === 'read' && at === 'before' && key === markerKey) looks += 1
    }

    await Promise.all(Array.from({ length: 50 }, (_, n) => store.put(`a/${n}`, bytes('a'), about)))

    expect(looks).toBeLessThanOrEqual(5)
  })

  it('the store is written to for readiness once in a while, however often it is asked', async () => {
    const { bare, pairing } = await newPair()
    let writes = 0
    bare.fault = (call, at, key) => {
      if (call === 'put' && at === 'before' && key === probeKey) writes += 1
    }

    for (let times = 0; times < 20; times += 1) await pairing.check()

    expect(writes).toBe(1)
  })
})

describe('a database that is older than its store', () => {
  it('removes nothing and begins nothing, says why, and its time stands still', async () => {
    const { pair, advancedAt } = await restored()
    const { store, pairing } = pair
    await store.put('file', bytes('finished'), about)

    await expect(store.remove(['file'])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(store.abortMultipart('file', null)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(pairing.check()).rejects.toThrow(/restored from a backup.*restore accept/)
    await expect(pairing.confirmForCreation()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await pairing.mayRemove()).toBe(false)
    expect(pairing.restoredAt()).toEqual(advancedAt)
    expect((await readAll(store, 'file')).toString()).toBe('finished')
  })

  it('does not count on, so that it stays known', async () => {
    const { pair } = await restored()
    const before = await readMarker(pair.bare)

    await pair.pairing.advance()

    expect(await readMarker(pair.bare)).toEqual(before)
    expect(await pair.pairing.mayRemove()).toBe(false)
  })

  it('is known to a server that starts on it', async () => {
    const { pair } = await restored()

    const again = await openPairing({ pairings: pair.pairings, store: pair.bare })

    expect(again.restoredAt()).not.toBeNull()
  })
})

it('the counter goes up in the database first, and only when something happened', async () => {
  const { bare, pairings, pairing, database } = await newPair()
  const counters = async () => [(await pairings.find())!.counter, (await readMarker(bare))!.counter]
  await pairing.advance()
  const [first] = await counters()
  bare.fault = (call, at) => {
    if (call === 'put' && at === 'before') throw new UploadError('STORE_UNAVAILABLE', 'Away.')
  }
  await happens(database)

  await pairing.advance().catch(() => {})
  expect(await counters()).toEqual([first! + 1, first])
  bare.fault = () => {}
  await pairing.advance()
  await pairing.advance()

  expect(await counters()).toEqual([first! + 2, first! + 2])
})

it('is counted soon after a write, and a last time when the server ends', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { bare, store, pairing, database } = await newPair()
  const counter = async () => (await readMarker(bare))!.counter
  const before = await counter()

  await store.put('a', bytes('a'), about)
  await happens(database)
  await vi.advanceTimersByTimeAsync(5000)
  await untilDone(async () => expect(await counter()).toBe(before + 1))

  await happens(database)
  await pairing.close()
  expect(await counter()).toBe(before + 2)
})

describe('a store that is an older copy of the one that the database knows', () => {
  it('is not believed: nothing is written, lost or removed, and the remedy is said', async () => {
    const { bare, store, pairing, database } = await newPair()
    const copy = (await readMarker(bare))!
    for (let times = 0; times < 3; times += 1) {
      await happens(database)
      await pairing.advance()
    }
    const right = (await readMarker(bare))!

    await writeMarker(bare, copy)
    await pairing.confirmAnew().catch(() => {})
    await pairing.mayRemove()
    const away = { code: 'STORE_UNAVAILABLE' }
    await expect(store.put('a', bytes('a'), about)).rejects.toMatchObject(away)
    await expect(store.stat('nothing')).rejects.toMatchObject(away)
    await expect(store.remove(['a'])).rejects.toMatchObject(away)
    await expect(pairing.check()).rejects.toThrow(/older than its database.*put the right one back/)
    await pairing.advance()
    expect(await readMarker(bare)).toEqual(copy)

    await writeMarker(bare, right)
    await untilDone(() => store.put('a', bytes('a'), about))
    await expect(pairing.check()).resolves.toBeUndefined()
  })

  it('is known to a server that starts on it', async () => {
    const { bare, pairings, pairing, database } = await newPair()
    const copy = (await readMarker(bare))!
    for (let times = 0; times < 3; times += 1) {
      await happens(database)
      await pairing.advance()
    }
    await writeMarker(bare, copy)

    await expect(openPairing({ pairings, store: bare })).rejects.toThrow(/older than its database/)
  })
})

describe('servers that count beside each other', () => {
  it('leave the marker to the one that is writing it, and take over when it must have died', async () => {
    const { bare, pairings, pairing, database } = await newPair()
    const other = await openPairing({ pairings, store: bare })
    await pairing.advance()
    const before = (await pairings.find())!.counter
    bare.fault = (call, at) => {
      if (call === 'put' && at === 'before') throw new UploadError('STORE_UNAVAILABLE', 'Away.')
    }
    await happens(database)
    await pairing.advance().catch(() => {})
    bare.fault = () => {}

    await other.advance()
    expect([(await pairings.find())!.counter, (await readMarker(bare))!.counter]).toEqual([before + 1, before])

    await database.query({ name: '', text: `update store_pairing set advanced_at = now() - interval '3 minutes'` }, [])
    await other.advance()
    expect((await readMarker(bare))!.counter).toBe(before + 1)
    await other.advance()
    expect((await readMarker(bare))!.counter).toBe(before + 2)
  })

  it('go on at once when the one that died had written the marker', async () => {
    const { bare, pairings, pairing, database } = await newPair()
    await happens(database)
    await pairing.advance()
    await database.query({ name: '', text: 'update store_pairing set marked_counter = 0' }, [])
    await happens(database)

    await (await openPairing({ pairings, store: bare })).advance()

    const { counter, markedCounter } = (await pairings.find())!
    expect([markedCounter, (await readMarker(bare))!.counter]).toEqual([counter, counter])
  })
})

describe('a volume that is not mounted any more', () => {
  it('is not written to below its mount point, and goes on when it is back', async () => {
    const { pairings } = await unpaired()
    const directory = await mkdtemp(join(tmpdir(), 'landfall-volume-'))
    onTestFinished(() => rm(directory, { recursive: true, force: true }))
    const root = join(directory, 'files')
    const bare = localStore({ directory: root, fsync: false })
    const pairing = await openPairing({ pairings, store: bare })
    const store = guardStore(bare, pairing)
    const handle = await store.createMultipart('a/file', { ...about, partSize: 5 })
    const part = await store.uploadPart('a/file', handle, 1, bytes('hello'))

    await rename(root, join(directory, 'elsewhere'))
    await mkdir(root)
    const away = { code: 'STORE_UNAVAILABLE' }
    await expect(store.put('b/file', bytes('b'), about)).rejects.toMatchObject(away)
    await expect(store.put('.landfall/tails/u/1', bytes('b'), about)).rejects.toMatchObject(away)
    await expect(store.uploadPart('a/file', handle, 2, bytes('x'))).rejects.toMatchObject(away)
    await expect(store.completeMultipart('a/file', handle, [part])).rejects.toMatchObject(away)
    await expect(pairing.check()).rejects.toThrow(/not mounted/)
    // Nor by one that has not noticed yet.
    await expect(bare.put('b/file', bytes('b'), about)).rejects.toMatchObject(away)
    await expect(bare.createMultipart('b/file', { ...about, partSize: 5 })).rejects.toMatchObject(away)
    expect(await readdir(root)).toEqual([])

    await rm(root, { recursive: true })
    await rename(join(directory, 'elsewhere'), root)
    const info = await untilDone(() => store.completeMultipart('a/file', handle, [part]))

    expect(info.size).toBe(5)
    await expect(pairing.check()).resolves.toBeUndefined()
  })
})

describe('a mount point below which lies an older copy of the store', () => {
  it('is not written to by a server that has not noticed yet, and nothing is left in it', async () => {
    const { pairings } = await unpaired()
    const directory = await mkdtemp(join(tmpdir(), 'landfall-volume-'))
    onTestFinished(() => rm(directory, { recursive: true, force: true }))
    const [root, volume, copy] = ['files', 'volume', 'copy'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ]
    const bare = localStore({ directory: root, fsync: false })
    await openPairing({ pairings, store: bare })
    const handle = await bare.createMultipart('a/file', { ...about, partSize: 5 })
    const part = await bare.uploadPart('a/file', handle, 1, bytes('hello'))
    await cp(root, copy, { recursive: true })
    const before = await everythingIn(copy)

    await rename(root, volume)
    await rename(copy, root)
    const away = { code: 'STORE_UNAVAILABLE' }
    await expect(bare.put('b/file', bytes('b'), { ...about, origin: 'b' })).rejects.toMatchObject(away)
    await expect(bare.put('.landfall/tails/u/1', bytes('b'), about)).rejects.toMatchObject(away)
    await expect(bare.createMultipart('b/file', { ...about, partSize: 5, origin: 'b' })).rejects.toMatchObject(away)
    await expect(bare.uploadPart('a/file', handle, 1, bytes('HELLO'))).rejects.toMatchObject(away)
    await expect(bare.completeMultipart('a/file', handle, [part])).rejects.toMatchObject(away)
    expect(await everythingIn(root)).toEqual(before)

    await rename(root, copy)
    await rename(volume, root)
    expect(await bare.completeMultipart('a/file', handle, [part])).toMatchObject({ size: 5 })
  })

  it('is the store from when its marker has been seen there', async () => {
    const { pairings } = await unpaired()
    const directory = await mkdtemp(join(tmpdir(), 'landfall-volume-'))
    onTestFinished(() => rm(directory, { recursive: true, force: true }))
    const root = join(directory, 'files')
    const bare = localStore({ directory: root, fsync: false })
    const store = guardStore(bare, await openPairing({ pairings, store: bare }))

    await cp(root, join(directory, 'moved'), { recursive: true })
    await rename(root, join(directory, 'old'))
    await rename(join(directory, 'moved'), root)

    await untilDone(() => store.put('b/file', bytes('b'), about))
  })

  const everythingIn = async (folder: string) =>
    Promise.all(
      (await readdir(folder, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
        .map(async (path) => [path.slice(folder.length), (await readFile(path)).toString('base64')]),
    )
})

async function unpaired() {
  const fresh = await freshDatabase({ isMigrated: true })
  const database = await openDatabase({
    url: fresh.url,
    dataDir: '',
    pool: 5,
    timeoutMs: 2000,
    onError: console.error,
  })
  onTestFinished(async () => {
    await database.close()
    await fresh.dispose()
  })
  return { database, pairings: pairingsIn(database), store: memoryStore() }
}

async function newPair() {
  const { database, pairings, store: bare } = await unpaired()
  const said: PairingState[] = []
  const pairing = await openPairing({ pairings, store: bare, onChange: (standing) => said.push(standing) })
  return { database, pairings, bare, pairing, said, store: guardStore(bare, pairing) }
}

/** Four minutes of work, and then the row of the first. */
async function restored() {
  const pair = await newPair()
  const { advancedAt, counter } = (await pair.pairings.find())!
  for (let minutes = 0; minutes < 4; minutes += 1) {
    await happens(pair.database)
    await pair.pairing.advance()
  }
  await pair.database.query({ name: '', text: 'update store_pairing set counter = $1, advanced_at = $2' }, [
    counter,
    advancedAt,
  ])
  expect(await pair.pairing.mayRemove()).toBe(false)
  return { pair, advancedAt }
}

const happens = (database: Database) =>
  database.query({ name: '', text: `insert into audit_log (action, is_allowed) values ('test', true)` }, [])

async function readAll(store: { read(key: string): AsyncIterable<Buffer> }, key: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of store.read(key)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
