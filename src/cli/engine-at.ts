import { engineOf } from '../app/engine.ts'
import { openPairing, type Pairing } from '../app/pairing/pairing.ts'
import type { Config } from '../config.ts'
import type { RunningEngine } from '../core/engine.ts'
import { guardStore } from '../core/pairing/guarded-store.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { UploadRepository } from '../core/ports/uploads.ts'
import { openClock } from '../db/clock.ts'
import type { Database } from '../db/open.ts'
import { pairingsIn } from '../db/pairing.ts'
import { uploadRepository } from '../db/uploads.ts'
import { openLocker } from '../locks/index.ts'
import { openStore } from '../stores/index.ts'
import { policiesAt, withDatabase } from './database-at.ts'

/** The parts that a command needs. */
export interface EngineParts {
  database: Database
  store: ObjectStore
  uploads: UploadRepository
  engine: RunningEngine
  pairing: Pairing
  /** The time of the database. */
  now(): Date
}

/** Runs `work` with an engine on the configured database and store, which servers may use meanwhile, and closes everything however it ends. */
export function withEngine<T>(config: Config, work: (parts: EngineParts) => Promise<T>): Promise<T> {
  const onError = (error: unknown) => console.error(error)
  return withDatabase(config, (database) =>
    withStore(config, async (bareStore) => {
      const pairing = await openPairing({ pairings: pairingsIn(database), store: bareStore, onError })
      const store = guardStore(bareStore, pairing)
      const document = await policiesAt(database, config)
      const policies = () => document
      const uploads = uploadRepository(database)
      const locker = await openLocker({ database, leaseMs: config.LEASE_TTL, waitMs: config.LOCK_WAIT, onError })
      const clock = await openClock({ database, onSkew: (skew) => skew && console.error(skew), onError })
      const now = () => pairing.restoredAt() ?? clock.now()
      const engine = engineOf(config, { uploads, store, locker, policies, now, onError })
      try {
        return await work({ database, store, uploads, engine, pairing, now })
      } finally {
        await engine.drained()
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
