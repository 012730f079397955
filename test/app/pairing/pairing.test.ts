import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openPairing } from '../../../src/app/pairing/pairing.ts'
import { loadConfig } from '../../../src/config.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import { guardStore } from '../../../src/core/pairing/guarded-store.ts'
import { markerKey, type PairingState, probeKey, readMarker, writeMarker } from '../../../src/core/pairing/marker.ts'
import { NoSuchUpload } from '../../../src/core/ports/object-store.ts'
import { type Database, openDatabase } from '../../../src/db/open.ts'
import { pairingsIn } from '../../../src/db/pairing.ts'
import { openStore } from '../../../src/stores/index.ts'
import { localStore } from '../../../src/stores/local.ts'
import { inChunks } from '../../stores/contract.ts'
import { memoryStore } from '../../support/memory-store.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { untilDone } from '../../support/until.ts'

const about = { contentType: 'text/plain' }
const bytes = (text: string) => inChunks(Buffer.from(text))

describe('pairing at the start', () => {
  it('pairs a new database with a new store, and finds the pair again', async () => {
    const { pairings, store } = await newPair()

    const first = await readMarker(store)
    await openPairing({ pairings, store })

    expect(first).toMatchObject({ epoch: 1, storeId: (await pairings.find())!.storeId })
    expect((await readMarker(store))!.storeId).toBe(first!.storeId)
  })

  it('makes one pair when several servers start at once', async () => {
    const { pairings, store } = await unpaired()

    await Promise.all([1, 2, 3].map(() => openPairing({ pairings, store })))

    expect((await readMarker(store))!.storeId).toBe((await pairings.find())!.storeId)
  })

  it('completes a pairing that was interrupted before the marker was written', async () => {
    const { pairings, store } = await unpaired()
    store.fault = (call, at) => {
      if (call === 'put' && at === 'before') throw new UploadError('STORE_UNAVAILABLE', 'Unavailable.')
    }
    await expect(openPairing({ pairings, store })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}

    await openPairing({ pairings, store })

    expect((await readMarker(store))!.storeId).toBe((await pairings.find())!.storeId)
  })

  it('refuses the store of another database to an empty one, and says what to do', async () => {
    const { store } = await newPair()
    const { pairings } = await unpaired()

    await expect(openPairing({ pairings, store })).rejects.toThrow(/restore adopt.*store pair --replace/)
    expect(await pairings.find()).toBeNull()
  })

  it('waits for a known store without its marker, and says what to do', async () => {
    const { pairings } = await newPair()

    await expect(openPairing({ pairings, store: memoryStore() })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/not mounted.*store pair --replace/),
    })
  })

  it('refuses the store of another database', async () => {
    const [one, other] = [await newPair(), await newPair()]

    await expect(openPairing({ pairings: one.pairings, store: other.store })).rejects.toMatchObject({
      code: 'STORE_MISMATCH',
    })
  })

  it('treats an unreadable marker differently from a missing one', async () => {
    const { pairings, bare } = await newPair()
    await bare.put(markerKey, bytes('{"storeId":'), about)

    await expect(openPairing({ pairings, store: bare })).rejects.toMatchObject({
      message: expect.stringMatching(/read/),
    })
  })
})

describe('a bucket that the access key may not list', () => {
  it('is paired with a new database, found again, and refused to another one', async () => {
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

describe('pairing while a server runs', () => {
  it.each<[string, (pair: Awaited<ReturnType<typeof newPair>>) => Promise<unknown>]>([
    ['is emptied', async ({ bare }) => bare.remove([markerKey])],
    [
      'is replaced by another one',
      async ({ bare }) =>
        writeMarker(bare, {
          storeId: '00000000-0000-4000-8000-000000000000',
          databaseId: '00000000-0000-4000-8000-000000000000',
          epoch: 1,
          counter: 1,
        }),
    ],
  ])('refuses reads and writes while the store %s', async (_, replace) => {
    const pair = await newPair()
    const { bare, store, pairing, states } = pair
    const marker = (await readMarker(bare))!
    const handle = await store.createMultipart('k', { ...about, partSize: 5 })

    await replace(pair)
    await pairing.recheck().catch(() => {})

    const unavailable = { code: 'STORE_UNAVAILABLE' }
    await expect(store.put('a', bytes('a'), about)).rejects.toMatchObject(unavailable)
    await expect(store.uploadPart('k', handle, 1, bytes('hello'))).rejects.toMatchObject(unavailable)
    await expect(store.completeMultipart('k', 'other', [])).rejects.toMatchObject(unavailable)
    await expect(store.stat('nothing')).rejects.toMatchObject(unavailable)
    await expect(readAll(store, 'nothing')).rejects.toMatchObject(unavailable)
    await expect(store.remove(['a'])).rejects.toMatchObject(unavailable)
    await expect(store.abortMultipart('k', null)).rejects.toMatchObject(unavailable)
    await expect(pairing.check()).rejects.toThrow(/marker/)
    await expect(pairing.confirmForCreation()).rejects.toMatchObject(unavailable)
    expect(await pairing.mayRemove()).toBe(false)

    await writeMarker(bare, marker)
    await untilDone(() => store.uploadPart('k', handle, 1, bytes('hello')))
    await expect(pairing.check()).resolves.toBeUndefined()
    expect(states.map(({ state }) => state)).toEqual(['mismatched', 'paired'])
  })

  it('passes on "not found" when the store is the paired one', async () => {
    const { store } = await newPair()

    expect(await store.stat('nothing')).toBeNull()
    await expect(store.completeMultipart('k', 'none', [])).rejects.toBeInstanceOf(NoSuchUpload)
  })

  it('is not ready when the store refuses writes', async () => {
    const { bare, pairing } = await newPair()
    bare.fault = (call) => {
      if (call === 'put') throw new UploadError('STORE_UNAVAILABLE', 'AccessDenied')
    }

    await expect(pairing.check()).rejects.toThrow('the store cannot be used: AccessDenied')
    bare.fault = () => {}
    await expect(pairing.check()).resolves.toBeUndefined()
  })

  it('is not ready when the store does not find an object just written', async () => {
    const { bare, pairing } = await newPair()
    bare.fault = (call) => {
      if (call === 'stat') throw new UploadError('STORE_UNAVAILABLE', 'AccessDenied')
    }

    await expect(pairing.check()).rejects.toThrow('AccessDenied')
  })

  it('is not ready right after a failed write, until the store accepts writes again', async () => {
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
    'does not acknowledge %s when the store was replaced meanwhile',
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
        createMultipart: () =>
          store.createMultipart('b', { ...about, partSize: 5, onAmbiguousCreate: () => (doubts += 1) }),
        completeMultipart: () => store.completeMultipart('k', handle, [part]),
      }[call]
      await expect(write()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

      bare.fault = () => {}
      await writeMarker(bare, marker)
      await untilDone(async () => void (await write()))
      expect(doubts).toBe(call === 'createMultipart' ? 1 : 0)
    },
  )

  it('checks the marker once for many writes at once', async () => {
    const { bare, store } = await newPair()
    let reads = 0
    bare.fault = (call, at, key) => {
      if (call === 'read' && at === 'before' && key === markerKey) reads += 1
    }

    await Promise.all(Array.from({ length: 50 }, (_, n) => store.put(`a/${n}`, bytes('a'), about)))

    expect(reads).toBeLessThanOrEqual(5)
  })

  it('writes the probe object rarely, however often readiness is checked', async () => {
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
  it('removes and creates nothing, says why, and stops its clock', async () => {
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

  it('does not increment its counter, so that the state stays detectable', async () => {
    const { pair } = await restored()
    const before = await readMarker(pair.bare)

    await pair.pairing.advance()

    expect(await readMarker(pair.bare)).toEqual(before)
    expect(await pair.pairing.mayRemove()).toBe(false)
  })

  it('is detected by a server that starts', async () => {
    const { pair } = await restored()

    const again = await openPairing({ pairings: pair.pairings, store: pair.bare })

    expect(again.restoredAt()).not.toBeNull()
  })
})

it('increments the counter in the database first, and only after changes', async () => {
  const { bare, pairings, pairing, database } = await newPair()
  const counters = async () => [(await pairings.find())!.counter, (await readMarker(bare))!.counter]
  await pairing.advance()
  const [first] = await counters()
  bare.fault = (call, at) => {
    if (call === 'put' && at === 'before') throw new UploadError('STORE_UNAVAILABLE', 'Unavailable.')
  }
  await change(database)

  await pairing.advance().catch(() => {})
  expect(await counters()).toEqual([first! + 1, first])
  bare.fault = () => {}
  await pairing.advance()
  await pairing.advance()

  expect(await counters()).toEqual([first! + 2, first! + 2])
})

it('is not taken for restored when another server increments between its two reads', async () => {
  const { database, pairings, bare: store, pairing: other } = await newPair()
  let isWatched = false
  const withIncrement: typeof pairings = {
    ...pairings,
    async find() {
      const row = await pairings.find()
      if (isWatched) await change(database)
      if (isWatched) await other.advance()
      return row
    },
  }
  const states: PairingState[] = []
  const pairing = await openPairing({ pairings: withIncrement, store, onChange: (state) => void states.push(state) })
  isWatched = true

  await expect(pairing.check()).resolves.toBeUndefined()
  await expect(pairing.mayRemove()).resolves.toBe(true)

  expect(states).toEqual([])
})

it('increments the counter soon after a write, and when the server stops', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { bare, store, pairing, database } = await newPair()
  const counter = async () => (await readMarker(bare))!.counter
  const before = await counter()

  await store.put('a', bytes('a'), about)
  await change(database)
  await vi.advanceTimersByTimeAsync(5000)
  await untilDone(async () => expect(await counter()).toBe(before + 1))

  await change(database)
  await pairing.close()
  expect(await counter()).toBe(before + 2)
})

describe('a store that is an older copy of the paired one', () => {
  it('is not used for reads, writes or removals, and the error says what to do', async () => {
    const { bare, store, pairing, database } = await newPair()
    const copy = (await readMarker(bare))!
    for (let times = 0; times < 3; times += 1) {
      await change(database)
      await pairing.advance()
    }
    const current = (await readMarker(bare))!

    await writeMarker(bare, copy)
    await pairing.recheck().catch(() => {})
    await pairing.mayRemove()
    const unavailable = { code: 'STORE_UNAVAILABLE' }
    await expect(store.put('a', bytes('a'), about)).rejects.toMatchObject(unavailable)
    await expect(store.stat('nothing')).rejects.toMatchObject(unavailable)
    await expect(store.remove(['a'])).rejects.toMatchObject(unavailable)
    await expect(pairing.check()).rejects.toThrow(/older than its database.*put the right one back/)
    await pairing.advance()
    expect(await readMarker(bare)).toEqual(copy)

    await writeMarker(bare, current)
    await untilDone(() => store.put('a', bytes('a'), about))
    await expect(pairing.check()).resolves.toBeUndefined()
  })

  it('is detected by a server that starts', async () => {
    const { bare, pairings, pairing, database } = await newPair()
    const copy = (await readMarker(bare))!
    for (let times = 0; times < 3; times += 1) {
      await change(database)
      await pairing.advance()
    }
    await writeMarker(bare, copy)

    await expect(openPairing({ pairings, store: bare })).rejects.toThrow(/older than its database/)
  })
})

describe('several servers that increment the counter', () => {
  it('leave the marker to its writer, and take over when that must have died', async () => {
    const { bare, pairings, pairing, database } = await newPair()
    const other = await openPairing({ pairings, store: bare })
    await pairing.advance()
    const before = (await pairings.find())!.counter
    bare.fault = (call, at) => {
      if (call === 'put' && at === 'before') throw new UploadError('STORE_UNAVAILABLE', 'Unavailable.')
    }
    await change(database)
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

  it('continue at once when the server that died had written the marker', async () => {
    const { bare, pairings, pairing, database } = await newPair()
    await change(database)
    await pairing.advance()
    await database.query({ name: '', text: 'update store_pairing set marked_counter = 0' }, [])
    await change(database)

    await (await openPairing({ pairings, store: bare })).advance()

    const { counter, markedCounter } = (await pairings.find())!
    expect([markedCounter, (await readMarker(bare))!.counter]).toEqual([counter, counter])
  })
})

describe('a volume that is no longer mounted', () => {
  it('gets no writes below its mount point, and resumes when it is back', async () => {
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
    const unavailable = { code: 'STORE_UNAVAILABLE' }
    await expect(store.put('b/file', bytes('b'), about)).rejects.toMatchObject(unavailable)
    await expect(store.put('.landfall/tails/u/1', bytes('b'), about)).rejects.toMatchObject(unavailable)
    await expect(store.uploadPart('a/file', handle, 2, bytes('x'))).rejects.toMatchObject(unavailable)
    await expect(store.completeMultipart('a/file', handle, [part])).rejects.toMatchObject(unavailable)
    await expect(pairing.check()).rejects.toThrow(/not mounted/)
    // The bare store, which has not read the marker again, refuses writes too.
    await expect(bare.put('b/file', bytes('b'), about)).rejects.toMatchObject(unavailable)
    await expect(bare.createMultipart('b/file', { ...about, partSize: 5 })).rejects.toMatchObject(unavailable)
    expect(await readdir(root)).toEqual([])

    await rm(root, { recursive: true })
    await rename(join(directory, 'elsewhere'), root)
    const info = await untilDone(() => store.completeMultipart('a/file', handle, [part]))

    expect(info.size).toBe(5)
    await expect(pairing.check()).resolves.toBeUndefined()
  })
})

describe('an older copy of the store below the mount point', () => {
  it('gets no writes from a server that has not noticed yet', async () => {
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
    const before = await filesIn(copy)

    await rename(root, volume)
    await rename(copy, root)
    const unavailable = { code: 'STORE_UNAVAILABLE' }
    await expect(bare.put('b/file', bytes('b'), { ...about, origin: 'b' })).rejects.toMatchObject(unavailable)
    await expect(bare.put('.landfall/tails/u/1', bytes('b'), about)).rejects.toMatchObject(unavailable)
    await expect(bare.createMultipart('b/file', { ...about, partSize: 5, origin: 'b' })).rejects.toMatchObject(
      unavailable,
    )
    await expect(bare.uploadPart('a/file', handle, 1, bytes('HELLO'))).rejects.toMatchObject(unavailable)
    await expect(bare.completeMultipart('a/file', handle, [part])).rejects.toMatchObject(unavailable)
    expect(await filesIn(root)).toEqual(before)

    await rename(root, copy)
    await rename(volume, root)
    expect(await bare.completeMultipart('a/file', handle, [part])).toMatchObject({ size: 5 })
  })

  it('is used as the store once its marker was read there', async () => {
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

  const filesIn = async (folder: string) =>
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
    timeoutMs: 60_000,
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
  const states: PairingState[] = []
  const pairing = await openPairing({ pairings, store: bare, onChange: (state) => states.push(state) })
  return { database, pairings, bare, pairing, states, store: guardStore(bare, pairing) }
}

/** A pair whose row was reset to its state before four changes. */
async function restored() {
  const pair = await newPair()
  const { advancedAt, counter } = (await pair.pairings.find())!
  for (let minutes = 0; minutes < 4; minutes += 1) {
    await change(pair.database)
    await pair.pairing.advance()
  }
  await pair.database.query({ name: '', text: 'update store_pairing set counter = $1, advanced_at = $2' }, [
    counter,
    advancedAt,
  ])
  expect(await pair.pairing.mayRemove()).toBe(false)
  return { pair, advancedAt }
}

/** A change that the counter must reflect. */
const change = (database: Database) =>
  database.query({ name: '', text: `insert into audit_log (action, is_allowed) values ('test', true)` }, [])

async function readAll(store: { read(key: string): AsyncIterable<Buffer> }, key: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of store.read(key)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
