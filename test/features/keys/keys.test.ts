import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { type CreateKey, type Keys, keysIn } from '../../../src/features/keys/keys.ts'
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
  it('speaks for a user of its own unless it was made for another', async () => {
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

  it('is long, never the same, and nowhere in the database', async () => {
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

  it('can be recognized by how it begins', async () => {
    const { keys } = await open()

    const { token } = await keys.create(createKey, 'root')

    const [{ prefix, name, createdBy } = { prefix: '' }] = await keys.list()
    expect([token.startsWith(prefix), prefix.length, name, createdBy]).toEqual([true, 9, 'the importer', 'root'])
  })

  it.each(['', 'lf_', 'lf_short', `lf_${'a'.repeat(42)}!`, `LF_${'a'.repeat(43)}`, 'a.b.c'])(
    'is not %s, which nobody looks up',
    async (token) => {
      const { keys, asked } = await open()

      expect(await keys.identify(token)).toBeNull()
      expect(asked()).toBe(0)
    },
  )

  it('that is made up costs the database nothing, however alike it is', async () => {
    const { keys, asked } = await open()
    const { token } = await keys.create(createKey, 'root')
    const before = asked()
    const made = Array.from({ length: 50 }, () => `lf_${randomBytes(32).toString('base64url')}`)
    const bent = [...token.slice(3)].map(
      (_, at) => `${token.slice(0, at + 3)}${token[at + 3] === 'A' ? 'B' : 'A'}${token.slice(at + 4)}`,
    )

    // The last character of a tag has two bits that mean nothing.
    for (const other of [...made, ...bent.slice(0, -1)]) expect(await keys.identify(other)).toBeNull()

    expect(asked()).toBe(before)
  })

  it('is known to every server of the same database, also to one that starts later', async () => {
    const { keys, another } = await open()
    const { token } = await keys.create(createKey, 'root')

    const others = await Promise.all([another(), another()])

    for (const other of others) expect(await other.identify(token)).toMatchObject({ role: createKey.role })
    const { token: later } = await others[0]!.create(createKey, 'root')
    expect(await keys.identify(later)).toMatchObject({ role: createKey.role })
  })

  it('ends when its time is over', async () => {
    const { keys, clock } = await open()
    const { token, key } = await keys.create({ ...createKey, expiresAt: new Date(clock.now + 1000) }, 'root')
    expect(await keys.identify(token)).not.toBeNull()

    clock.now += 1000

    await expect(keys.identify(token)).rejects.toMatchObject({ status: 401, message: 'The key has expired.' })
    await expect(demand(keys, key.id)).rejects.toMatchObject({ status: 401 })
  })

  it('is written down as used, once a minute', async () => {
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

  it('is looked up once a second at most, however often it is used', async () => {
    const { keys, asked } = await open()
    const { token } = await keys.create(createKey, 'root')
    await keys.identify(token)
    await keys.close()
    const before = asked()

    await Promise.all(Array.from({ length: 50 }, () => keys.identify(token)))

    expect(asked() - before).toBe(0)
  })
})

describe('a key that was made with a key', () => {
  it('ends with it, and so do those made with it in turn, on every server', async () => {
    const { keys, another } = await open()
    const there = await another()
    const { maker, made, madeOfMade } = await threeGenerations(keys)
    const beside = await keys.create(createKey, 'root')
    expect(await there.identify(madeOfMade.token)).not.toBeNull()

    await keys.revoke(maker.key.id, 'eve')
    await until(() => isRefused(there, madeOfMade.token))

    for (const { token, key } of [maker, made, madeOfMade]) {
      await expect(keys.identify(token)).rejects.toMatchObject({ status: 401, message: 'The key was revoked.' })
      await expect(demand(keys, key.id)).rejects.toMatchObject({ status: 401 })
    }
    expect(await keys.identify(beside.token)).not.toBeNull()
    const revoked = (await keys.list()).filter(({ revokedBy }) => revokedBy === 'eve').map(({ id }) => id)
    expect(new Set(revoked)).toEqual(new Set([maker, made, madeOfMade].map(({ key }) => key.id)))
  })

  it('does not end the one it was made with', async () => {
    const { keys } = await open()
    const { maker, made, madeOfMade } = await threeGenerations(keys)

    await keys.revoke(made.key.id, 'eve')

    expect(await keys.identify(maker.token)).not.toBeNull()
    expect(await isRefused(keys, madeOfMade.token)).toBe(true)
  })

  it('is refused also when it was being made while its maker was revoked', async () => {
    const { keys } = await open()
    const maker = await keys.create({ ...createKey, scopes: ['admin'] }, 'root')

    await keys.revoke(maker.key.id, 'eve')
    const late = await keys.create(createKey, 'root', { role: 'creator', tenant: null, keyId: maker.key.id })

    await expect(keys.identify(late.token)).rejects.toMatchObject({ status: 401, message: 'The key was revoked.' })
  })

  it('says with which key, and lives no longer than that one', async () => {
    const { keys, clock } = await open()
    const end = new Date(clock.now + 1000)
    const { maker, made, madeOfMade } = await threeGenerations(keys, end)

    expect(made.key).toMatchObject({ createdByKey: maker.key.id, expiresAt: end })
    const makers = (await keys.list()).map(({ createdByKey }) => createdByKey)
    expect(new Set(makers)).toEqual(new Set([null, maker.key.id, made.key.id]))
    clock.now += 1000
    await expect(keys.identify(madeOfMade.token)).rejects.toMatchObject({ message: 'The key has expired.' })
  })
})

describe('a key that was revoked', () => {
  it('is refused at once, and so is what was begun with it', async () => {
    const { keys } = await open()
    const { token, key } = await keys.create(createKey, 'root')
    await keys.identify(token)
    await demand(keys, key.id)

    const revoked = await keys.revoke(key.id, 'eve')

    expect(revoked).toMatchObject({ id: key.id, revokedBy: 'eve', revokedAt: expect.any(Date) })
    await expect(keys.identify(token)).rejects.toMatchObject({ status: 401, message: 'The key was revoked.' })
    await expect(demand(keys, key.id)).rejects.toMatchObject({ status: 401 })
  })

  it('stays revoked by who did it first', async () => {
    const { keys } = await open()
    const { key } = await keys.create(createKey, 'root')

    const first = await keys.revoke(key.id, 'eve')

    expect(await keys.revoke(key.id, 'mallory')).toEqual(first)
  })

  it('is refused by every server that hears of it at once', async () => {
    // No time passes: nothing that is remembered grows old.
    standStill()
    const { keys: here, another } = await open()
    const there = await another()
    const { token, key } = await here.create(createKey, 'root')
    expect(await there.identify(token)).not.toBeNull()

    await here.revoke(key.id, 'root')

    expect(await until(() => isRefused(there, token))).toBe(true)
  })

  it('is refused within a second also where the news does not come', async () => {
    standStill()
    const { keys: here, another } = await open()
    const deaf = await another({ isDeaf: true })
    const { token, key } = await here.create(createKey, 'root')
    expect(await deaf.identify(token)).not.toBeNull()

    await here.revoke(key.id, 'root')
    expect(await isRefused(deaf, token)).toBe(false)
    vi.advanceTimersByTime(1000)

    expect(await isRefused(deaf, token)).toBe(true)
  })

  it('is none, when there is no such key', async () => {
    const { keys } = await open()

    expect(await keys.revoke('00000000-0000-4000-8000-000000000000', 'root')).toBeNull()
  })
})

/** Stops the clock by which answers grow old, until it is advanced. */
function standStill(): void {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
}

async function isRefused(keys: Keys, token: string): Promise<boolean> {
  return keys.identify(token).then(
    () => false,
    () => true,
  )
}

/** An admin key, one that was made with it, and one that was made with that. */
async function threeGenerations(keys: Keys, expiresAt: Date | null = null) {
  const admin: CreateKey = { ...createKey, scopes: ['admin'] }
  const madeWith = (keyId: string) => ({ role: 'creator', tenant: null, keyId })
  const maker = await keys.create({ ...admin, expiresAt }, 'root')
  const made = await keys.create(admin, 'root', madeWith(maker.key.id))
  const madeOfMade = await keys.create(createKey, 'root', madeWith(made.key.id))
  return { maker, made, madeOfMade }
}

function demand(keys: Keys, keyId: string): Promise<void> {
  return keys.authorize({ actor: userOf('ann', 'creator', { keyId }), action: 'complete' })
}

/** Keys in a Postgres of their own, and other servers beside. */
async function open() {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  const start = Date.now()
  const clock = { start, now: start }
  let asked = 0

  async function server({ isDeaf = false } = {}) {
    const database = await openDatabase({ url, dataDir: '', pool: 2, timeoutMs: 2000, onError: () => {} })
    const counting = {
      ...database,
      query: (...call: Parameters<typeof database.query>) => {
        asked += 1
        return database.query(...call)
      },
      ...(isDeaf && { listen: async () => {} }),
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
  asked = 0
  return {
    keys,
    clock,
    asked: () => asked,
    another: async (options: { isDeaf?: boolean } = {}) => (await server(options)).keys,
    dump: async () => JSON.stringify((await database.executeSql('select * from api_keys')).rows),
  }
}
