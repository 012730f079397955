import { engineOf, openConfiguredDatabase } from '../app.ts'
import type { Config } from '../config.ts'
import { sessionsIn } from '../db/sessions.ts'
import { previewSweep, sweep } from '../jobs/sweep.ts'
import { leaseLocker } from '../locks/lease.ts'
import { openStore } from '../stores/index.ts'

/** Sweeps once, or says what a sweep would do; the lines are for an operator. Runs beside servers that share the database. */
export async function sweepOnce(config: Config, isDry: boolean): Promise<string[]> {
  const onFault = (error: unknown) => console.error(error)
  const database = await openConfiguredDatabase(config, onFault)
  const store = openStore(config.STORE, config)
  const sessions = sessionsIn(database)
  try {
    if (isDry) {
      const { expired, litter } = await previewSweep(sessions, store, new Date())
      return [
        ...expired.map((id) => `would expire ${id}`),
        ...litter.map((key) => `would remove ${key}`),
        'nothing was changed',
      ]
    }
    const locker = await leaseLocker({ database, leaseMs: config.LEASE_TTL, waitMs: config.LOCK_WAIT, onFault })
    const engine = engineOf(config, {
      sessions,
      store,
      locker,
      policies: () => config.POLICIES,
      now: () => new Date(),
      onFault,
    })
    const { expired, cleaned } = await sweep(engine, sessions, new Date())
    await engine.idle()
    await locker.close()
    return [`expired ${expired} uploads, cleaned up after ${cleaned}`]
  } finally {
    await store.close()
    await database.close()
  }
}
