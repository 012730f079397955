import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { type CreateKey, type Keys, keysIn } from '../../../src/features/api-keys/keys.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { until } from '../../support/until.ts'

const createKey: CreateKey = {
  name: 'the importer',
  role: 'creator',
  user: null,
  tenant: null,
  scopes: ['upload', 'read'],
  expiresAt: null,
}

describe('a key', () => {
  it('acts for a user of its own unless it was created for another', async () => {
    const { keys } = await open()

    const own = await keys.create(createKey, 'root')
    const anns = await keys.create({ ...createKey, user: 'ann', tenant: 'acme', scopes: ['admin'] }, 'root')

    expect(await keys.identify(own.token)).toEqual(
      userOf(`key:${own.key.id}`, 'creator', { scopes: ['upload', 'read'], keyId: own.key.id, isService: true }),
    )
    expect(await keys.identify(anns.token)).toEqual(
      userOf('ann', 'creator', {
        tenant: 'acme',
        isAdmin: true,
        scopes: ['admin'],
        keyId: anns.key.id,
        isService: false,
      }),
    )
  })

  it('is long, unique, and not in the database', async () => {
    const { keys, dump } = await open()

    const tokens = await Promise.all(
      Array.from({ length: 20 }, async () => (await keys.create(createKey, 'root')).token),
    )
    for (const token of tokens) await keys.identify(token)

    expect(new Set(tokens).size).toBe(20)
    for (const token of tokens) {
      expect(token).toMatch(/^lf_[\w-]{43}$/)
      expect(await dump()).not.toContain(token.slice(9))
    }
  })

  it('is recognized by its prefix', async () => {
    const { keys } = await open()

    const { token } = await keys.create(createKey, 'root')

    const [{ prefix, name, createdBy } = { prefix: '' }] = await keys.list()
    expect([token.startsWith(prefix), prefix.length, name, createdBy]).toEqual([true, 9, 'the importer', 'root'])
  })

  it.each(['', 'lf_', 'lf_short', `lf_${'a'.repeat(42)}!`, `LF_${'a'.repeat(43)}`, 'a.b.c'])(
    'is not %j, and the database is not queried',
    async (token) => {
      const { keys, queries } = await open()

      expect(await keys.identify(token)).toBeNull()
      expect(queries()).toBe(0)
    },
  )

  it('causes no query when it is forged, however similar it is', async () => {
    const { keys, queries } = await open()
    const { token } = await keys.create(createKey, 'root')
    const before = queries()
    const random = Array.from({ length: 50 }, () => `lf_${randomBytes(32).toString('base64url')}`)
    const altered = [...token.slice(3)].map(
      (_, at) => `${token.slice(0, at + 3)}${token[at + 3] === 'A' ? 'B' : 'A'}${token.slice(at + 4)}`,
    )

    // Two bits of the last character of a tag are unused.
    for (const other of [...random, ...altered.slice(0, -1)]) expect(await keys.identify(other)).toBeNull()

    expect(queries()).toBe(before)
  })

  it('is valid on every server of the database, also on one that starts later', async () => {
    const { keys, another } = await open()
    const { token } = await keys.create(createKey, 'root')

    const others = await Promise.all([another(), another()])

    for (const other of others) expect(await other.identify(token)).toMatchObject({ role: createKey.role })
    const { token: later } = await others[0]!.create(createKey, 'root')
    expect(await keys.identify(later)).toMatchObject({ role: createKey.role })
  })

  it('is refused after it expired', async () => {
    const { keys, clock } = await open()
    const { token, key } = await keys.create({ ...createKey, expiresAt: new Date(clock.now + 1000) }, 'root')
    expect(await keys.identify(token)).not.toBeNull()

    clock.now += 1000

    await expect(keys.identify(token)).rejects.toMatchObject({ status: 401, message: 'The key has expired.' })
    await expect(authorize(keys, key.id)).rejects.toMatchObject({ status: 401 })
  })

  it('records its last use once a minute', async () => {
    const { keys, clock } = await open()
    const { token } = await keys.create(createKey, 'root')
    const usedAt = async () => {
      await keys.close()
      return (await keys.list())[0]!.lastUsedAt?.getTime()
    }
    expect(await usedAt()).toBeUndefined()

    await keys.identify(token)
    const first = await usedAt()
    clock.now += 30_000
    await keys.identify(token)
    const second = await usedAt()
    clock.now += 31_000
    await keys.identify(token)

    expect([first, second, await usedAt()]).toEqual([clock.start, clock.start, clock.start + 61_000])
  })

  it('is looked up at most once a second, however often it is used', async () => {
    const { keys, queries } = await open()
    const { token } = await keys.create(createKey, 'root')
    await keys.identify(token)
    await keys.close()
    const before = queries()

    await Promise.all(Array.from({ length: 50 }, () => keys.identify(token)))

    expect(queries() - before).toBe(0)
  })
})

describe('a key created with a key', () => {
  it('ends with its maker, and so do its own descendants, on every server', async () => {
    const { keys, another } = await open()
    const other = await another()
    const { maker, child, grandchild } = await threeGenerations(keys)
    const unrelated = await keys.create(createKey, 'root')
    expect(await other.identify(grandchild.token)).not.toBeNull()

    await keys.revoke(maker.key.id, 'eve')
    await until(() => isRefused(other, grandchild.token))

    for (const { token, key } of [maker, child, grandchild]) {
      await expect(keys.identify(token)).rejects.toMatchObject({ status: 401, message: 'The key was revoked.' })
      await expect(authorize(keys, key.id)).rejects.toMatchObject({ status: 401 })
    }
    expect(await keys.identify(unrelated.token)).not.toBeNull()
    const revoked = (await keys.list()).filter(({ revokedBy }) => revokedBy === 'eve').map(({ id }) => id)
    expect(new Set(revoked)).toEqual(new Set([maker, child, grandchild].map(({ key }) => key.id)))
  })

  it('does not end its maker when it is revoked', async () => {
    const { keys } = await open()
    const { maker, child, grandchild } = await threeGenerations(keys)

    await keys.revoke(child.key.id, 'eve')

    expect(await keys.identify(maker.token)).not.toBeNull()
    expect(await isRefused(keys, grandchild.token)).toBe(true)
  })

  it('is refused also when it was created while its maker was revoked', async () => {
    const { keys } = await open()
    const maker = await keys.create({ ...createKey, scopes: ['admin'] }, 'root')

    await keys.revoke(maker.key.id, 'eve')
    const late = await keys.create(createKey, 'root', { role: 'creator', tenant: null, keyId: maker.key.id })

    await expect(keys.identify(late.token)).rejects.toMatchObject({ status: 401, message: 'The key was revoked.' })
  })

  it('names its maker, and expires no later than it', async () => {
    const { keys, clock } = await open()
    const end = new Date(clock.now + 1000)
    const { maker, child, grandchild } = await threeGenerations(keys, end)

    expect(child.key).toMatchObject({ createdByKey: maker.key.id, expiresAt: end })
    const makers = (await keys.list()).map(({ createdByKey }) => createdByKey)
    expect(new Set(makers)).toEqual(new Set([null, maker.key.id, child.key.id]))
    clock.now += 1000
    await expect(keys.identify(grandchild.token)).rejects.toMatchObject({ message: 'The key has expired.' })
  })
})

describe('a revoked key', () => {
  it('is refused at once, and so are uploads created with it', async () => {
    const { keys } = await open()
    const { token, key } = await keys.create(createKey, 'root')
    await keys.identify(token)
    await authorize(keys, key.id)

    const revoked = await keys.revoke(key.id, 'eve')

    expect(revoked).toMatchObject({ id: key.id, revokedBy: 'eve', revokedAt: expect.any(Date) })
    await expect(keys.identify(token)).rejects.toMatchObject({ status: 401, message: 'The key was revoked.' })
    await expect(authorize(keys, key.id)).rejects.toMatchObject({ status: 401 })
  })

  it('stays revoked by the first who revoked it', async () => {
    const { keys } = await open()
    const { key } = await keys.create(createKey, 'root')

    const first = await keys.revoke(key.id, 'eve')

    expect(await keys.revoke(key.id, 'mallory')).toEqual(first)
  })

  it('is refused at once by every server that is notified', async () => {
    // No time passes: no cache entry expires.
    stopCacheClock()
    const { keys: here, another } = await open()
    const there = await another()
    const { token, key } = await here.create(createKey, 'root')
    expect(await there.identify(token)).not.toBeNull()

    await here.revoke(key.id, 'root')

    expect(await until(() => isRefused(there, token))).toBe(true)
  })

  it('is refused within a second when the notification is lost', async () => {
    stopCacheClock()
    const { keys: here, another } = await open()
    const unnotified = await another({ isUnnotified: true })
    const { token, key } = await here.create(createKey, 'root')
    expect(await unnotified.identify(token)).not.toBeNull()

    await here.revoke(key.id, 'root')
    expect(await isRefused(unnotified, token)).toBe(false)
    vi.advanceTimersByTime(1000)

    expect(await isRefused(unnotified, token)).toBe(true)
  })

  it('is null when there is no such key', async () => {
    const { keys } = await open()

    expect(await keys.revoke('00000000-0000-4000-8000-000000000000', 'root')).toBeNull()
  })
})

/** Stops the clock of the cache, until it is advanced. */
function stopCacheClock(): void {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
}

async function isRefused(keys: Keys, token: string): Promise<boolean> {
  return keys.identify(token).then(
    () => false,
    () => true,
  )
}

/** An admin key, a key created with it, and one created with that. */
async function threeGenerations(keys: Keys, expiresAt: Date | null = null) {
  const admin: CreateKey = { ...createKey, scopes: ['admin'] }
  const createdWith = (keyId: string) => ({ role: 'creator', tenant: null, keyId })
  const maker = await keys.create({ ...admin, expiresAt }, 'root')
  const child = await keys.create(admin, 'root', createdWith(maker.key.id))
  const grandchild = await keys.create(createKey, 'root', createdWith(child.key.id))
  return { maker, child, grandchild }
}

function authorize(keys: Keys, keyId: string): Promise<void> {
  return keys.authorize({ actor: userOf('ann', 'creator', { keyId }), action: 'complete' })
}

/** Keys in a new database, and further servers on it. */
async function open() {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  const start = Date.now()
  const clock = { start, now: start }
  let queries = 0

  async function server({ isUnnotified = false } = {}) {
    const database = await openDatabase({ url, dataDir: '', pool: 2, timeoutMs: 60_000, onError: () => {} })
    const counting = {
      ...database,
      query: (...call: Parameters<typeof database.query>) => {
        queries += 1
        return database.query(...call)
      },
      ...(isUnnotified && { listen: async () => {} }),
    } as typeof database
    const keys = await keysIn({ database: counting, now: () => new Date(clock.now), onError: console.error })
    onTestFinished(async () => {
      await keys.close()
      await database.close()
    })
    return { keys, database }
  }

  onTestFinished(dispose)
  const { keys, database } = await server()
  queries = 0
  return {
    keys,
    clock,
    queries: () => queries,
    another: async (options: { isUnnotified?: boolean } = {}) => (await server(options)).keys,
    dump: async () => JSON.stringify((await database.executeSql('select * from api_keys')).rows),
  }
}
