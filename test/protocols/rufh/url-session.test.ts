import { describe, expect, it } from 'vitest'
import { unavailable } from '../../support/memory-store.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { seeded } from '../../support/seeded.ts'
import { runUploadTask } from '../../support/url-session.ts'
import { asAda, type Serving, serve as serveOn } from './serve.ts'

const rounds = Number(process.env.RUFH_ROUNDS ?? 30)
const firstSeed = Number(process.env.RUFH_SEED ?? 1)
// The number of parts in the largest files. Parts have 1 MiB on disk, and 5 MiB in S3.
const mostParts = { memory: 15, local: 2.5, s3: 1.4 }

describe.each(protocolStores)('RUFH in URLSession, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  it('stores every file although connections break and the store fails at times', {
    timeout: 30_000 + rounds * 5_000,
  }, async () => {
    const server = await serve({ partSize: 4096, rufh: { progressEveryMs: 0 }, waitMs: 10_000 })
    const { store, part } = server
    const most = Math.floor(mostParts[kind] * part)
    let resumed = 0

    for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
      const chance = seeded(seed)
      const trouble = chance.fork('store')
      const isTroubled = chance.chance(0.5)
      const version = chance.pick([3, 5, 6] as const)
      const bytes = chance.bytes(
        chance.pick([0, 1, part - 1, part, part + 1, chance.int(1, most), chance.int(1, most)]),
      )
      const losses = chance.int(0, 6)
      store.fault = () => {
        if (isTroubled && trouble.chance(0.05)) throw unavailable()
      }

      const task = { port: server.port, path: '/files', version, bytes, headers: asAda, chance, losses }
      const result = await runUploadTask(task).catch((error: Error) => {
        throw new Error(`seed ${seed}: ${error.message}`)
      })

      store.fault = () => {}
      resumed += result.resumed
      const stored = await server.objectOf(result.location)
      expect(stored?.equals(bytes), `seed ${seed}\n${result.trace.join('\n')}`).toBe(true)
    }
    // Without resumed uploads the test would show nothing.
    expect(resumed).toBeGreaterThan(rounds / 3)
    for (const fault of server.reportedErrors) expect(fault).toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})
