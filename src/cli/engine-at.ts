import { engineOf } from '../app.ts'
import type { Config } from '../config.ts'
import type { RunningEngine } from '../core/engine.ts'
import { guardStore } from '../core/pairing/guarded-store.ts'
import type { ObjectStore, Sessions } from '../core/ports.ts'
import { openClock } from '../db/clock.ts'
import type { Database } from '../db/open.ts'
import { pairingsIn } from '../db/pairing.ts'
import { sessionsIn } from '../db/sessions.ts'
import { leaseLocker } from '../locks/lease.ts'
import { openPairing, type Pairing } from '../pairing.ts'
import { openStore } from '../stores/index.ts'
import { policiesAt, withDatabase } from './database-at.ts'

/** What a command works with. */
export interface Workplace {
  database: Database
  store: ObjectStore
  sessions: Sessions
  engine: RunningEngine
  pairing: Pairing
  /** The database's time. */
  now(): Date
}

/** Runs `work` with an engine beside the servers that share its database and its store, and closes everything however it ends. */
export function withEngine<T>(config: Config, work: (workplace: Workplace) => Promise<T>): Promise<T> {
  const onFault = (error: unknown) => console.error(error)
  return withDatabase(config, (database) =>
    withStore(config, async (bareStore) => {
      const pairing = await openPairing({ pairings: pairingsIn(database), store: bareStore, onFault })
      const store = guardStore(bareStore, pairing)
      const document = await policiesAt(database, config)
      const policies = () => document
      const sessions = sessionsIn(database)
      const locker = await leaseLocker({ database, leaseMs: config.LEASE_TTL, waitMs: config.LOCK_WAIT, onFault })
      const clock = await openClock({ database, onSkew: (trouble) => trouble && console.error(trouble), onFault })
      const now = () => pairing.restoredAt() ?? clock.now()
      const engine = engineOf(config, { sessions, store, locker, policies, now, onFault })
      try {
        return await work({ database, store, sessions, engine, pairing, now })
      } finally {
        await engine.idle()
        await locker.close()
        await pairing.close()
        clock.close()
      }
    }),
  )
}

/** Runs `work` with the configured store, and closes it however `work` ends. */
export async function withStore<T>(config: Config, work: (store: ObjectStore) => Promise<T>): Promise<T> {
  const store = openStore(config.STORE, config)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
