import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { newSession } from '../../src/core/begin/new-session.ts'
import { defaultKeyTemplate } from '../../src/core/begin/object-key.ts'
import { eventOf } from '../../src/core/events.ts'
import { defaultPolicies, effectivePolicy } from '../../src/core/policy/policy.ts'
import type { PartClaim, Sessions } from '../../src/core/ports.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { sessionsIn } from '../../src/db/sessions.ts'
import { leaseLocker } from '../../src/locks/lease.ts'
import { memoryStore } from '../support/memory-store.ts'
import { ada } from '../support/open-engine.ts'
import { freshDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'

let database: Database
let sessions: Sessions

beforeAll(async () => {
  const fresh = await freshDatabase({ isMigrated: true })
  database = await openDatabase({ url: fresh.url, dataDir: '', pool: 10, patienceMs: 2000, onFault: () => {} })
  sessions = sessionsIn(database)
  return async () => {
    await database.close()
    await fresh.dispose()
  }
}, 60_000)

async function begin(): Promise<string> {
  const wish = { size: 1000, filename: 'a.bin', contentType: 'application/octet-stream', byChunks: true }
  const session = newSession(ada, wish, {
    policy: effectivePolicy(defaultPolicies, ada)!.policy,
    rules: [],
    limits: memoryStore().limits,
    keyTemplate: defaultKeyTemplate,
    partSize: 10,
    chunkSize: 10,
    newId: randomUUID,
    now: () => new Date(),
  })
  await sessions.insert(session, eventOf('upload.created', session))
  return session.id
}

const claim = (number: number, more: Partial<PartClaim> = {}): PartClaim => ({
  number,
  token: randomUUID(),
  ms: 10_000,
  expiresAt: null,
  replaces: true,
  ...more,
})
const receipt = (number: number, etag: string) => ({ number, size: 10, etag })
const locker = () => leaseLocker({ database, leaseMs: 1000, waitMs: 3000, onFault: () => {} })

describe('a claim on a part', () => {
  it('is given to one of many', async () => {
    const id = await begin()

    const answers = await Promise.all(Array.from({ length: 40 }, () => sessions.claimPart(id, claim(1))))

    expect(answers.filter((answer) => answer === 'mine')).toHaveLength(1)
    expect(answers.filter((answer) => answer === 'taken')).toHaveLength(39)
  })

  it('does not keep the other parts', async () => {
    const id = await begin()

    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => sessions.claimPart(id, claim(index + 1))),
    )

    expect(new Set(answers)).toEqual(new Set(['mine']))
    expect(await sessions.claims(id)).toBe(40)
  })

  it('and a lease are never there together unless the claim was first', async () => {
    const leases = await locker()
    for (let round = 0; round < 20; round += 1) {
      const id = await begin()
      const seen: string[] = []
      const claimed = Promise.withResolvers<unknown>()
      const held = leases.hold(
        id,
        () => {},
        async () => {
          seen.push('lease')
          const before = await sessions.claims(id)
          seen.push(`claims ${before}`)
          await claimed.promise
          expect(await sessions.claims(id)).toBe(before)
        },
      )
      const answers = await Promise.all([1, 2, 3].map((number) => sessions.claimPart(id, claim(number))))
      claimed.resolve(answers)
      await held

      for (const answer of answers) expect(['mine', 'closed']).toContain(answer)
      expect(seen).toContain(`claims ${answers.filter((answer) => answer === 'mine').length}`)
    }
    await leases.close()
  })

  it('takes the receipt away until there is another', async () => {
    const id = await begin()
    const first = claim(1)
    await sessions.claimPart(id, first)
    await sessions.recordClaimed(id, receipt(1, 'a'), first.token)

    expect(await sessions.claimPart(id, claim(1, { replaces: false }))).toEqual(receipt(1, 'a'))
    const second = claim(1)
    expect(await sessions.claimPart(id, second)).toBe('mine')
    expect(await sessions.parts(id)).toEqual([])
    expect(await sessions.recordClaimed(id, receipt(1, 'b'), second.token)).toBe(true)
    expect(await sessions.parts(id)).toEqual([receipt(1, 'b')])
  })

  it('that ran out is somebody else’s, and then records nothing', async () => {
    const id = await begin()
    const late = claim(1, { ms: 30 })
    await sessions.claimPart(id, late)
    const next = claim(1)
    await until(async () => (await sessions.claimPart(id, next)) === 'mine')

    expect(await sessions.renewClaim(id, late)).toBe(false)
    expect(await sessions.recordClaimed(id, receipt(1, 'late'), late.token)).toBe(false)
    await sessions.dropClaim(id, late)
    expect(await sessions.recordClaimed(id, receipt(1, 'next'), next.token)).toBe(true)
  })

  it('may be asked for, and recorded, once more when the answer was lost', async () => {
    const id = await begin()
    const mine = claim(1, { replaces: false })

    expect([await sessions.claimPart(id, mine), await sessions.claimPart(id, mine)]).toEqual(['mine', 'mine'])
    const records = [receipt(1, 'a'), receipt(1, 'a')].map((part) => sessions.recordClaimed(id, part, mine.token))
    expect(await Promise.all(records)).toEqual([true, true])
    await sessions.dropClaim(id, mine)
    expect(await sessions.parts(id)).toEqual([receipt(1, 'a')])
  })

  it('records nothing for an upload that has ended, and none is given', async () => {
    const leases = await locker()
    const id = await begin()
    const mine = claim(1)
    await sessions.claimPart(id, mine)
    await leases.hold(
      id,
      () => {},
      (lease) => lease.save({ state: 'cancelled', release: true }),
    )

    expect(await sessions.recordClaimed(id, receipt(1, 'a'), mine.token)).toBe(false)
    expect(await sessions.claimPart(id, claim(2))).toBe('closed')
    expect(await sessions.touch(id, null)).toBe(false)
    await leases.close()
  })

  it('ends with the receipts that a lease holder forgets or replaces', async () => {
    const leases = await locker()
    const id = await begin()
    for (const number of [1, 2, 3]) {
      const mine = claim(number)
      await sessions.claimPart(id, mine)
      if (number < 3) await sessions.recordClaimed(id, receipt(number, 'chunk'), mine.token)
    }

    await leases.hold(
      id,
      () => {},
      (lease) => lease.save({ forget: [1], parts: [receipt(3, 'appended')] }),
    )

    expect(await sessions.parts(id)).toEqual([receipt(2, 'chunk'), receipt(3, 'appended')])
    expect(await sessions.claims(id)).toBe(0)
    await leases.close()
  })
})
