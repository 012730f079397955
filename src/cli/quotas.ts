import { engineOf, openConfiguredDatabase } from '../app.ts'
import type { Config } from '../config.ts'
import { userOf } from '../core/upload.ts'
import { sessionsIn } from '../db/sessions.ts'
import { type Drift, findMissing, type Missing, reconcile } from '../features/quotas/reconcile.ts'
import { leaseLocker } from '../locks/lease.ts'
import { openStore } from '../stores/index.ts'

export interface Reconciling {
  isDry: boolean
  /** Also compares the sessions with the store. */
  looksIntoStore: boolean
}

/** Compares usage with the sessions, and the sessions with the store, and mends what differs; lines for an operator. */
export async function reconcileQuotas(config: Config, { isDry, looksIntoStore }: Reconciling): Promise<string[]> {
  const database = await openConfiguredDatabase(config, (error) => console.error(error))
  const store = openStore(config.STORE, config)
  const lines: string[] = []
  try {
    const missing: Missing[] = []
    if (looksIntoStore) for await (const one of findMissing(database, store)) missing.push(one)
    lines.push(...missing.map(missingLine))
    if (!isDry) await giveUp(missing.filter(({ found }) => found === null))
    const drifts = await reconcile(database, isDry)
    lines.push(...drifts.flatMap(driftLines))
    if (isDry) return [...lines, 'nothing was changed']
    return [...lines, `mended the usage of ${drifts.length} users`]
  } finally {
    await store.close()
    await database.close()
  }

  /** As if their owners had deleted them: the sessions end, and the room is free. */
  async function giveUp(gone: Missing[]): Promise<void> {
    if (gone.length === 0) return
    const onFault = (error: unknown) => console.error(error)
    const locker = await leaseLocker({ database, leaseMs: config.LEASE_TTL, waitMs: config.LOCK_WAIT, onFault })
    const now = () => new Date()
    const parts = { sessions: sessionsIn(database), store, locker, policies: () => config.POLICIES, now, onFault }
    const engine = engineOf(config, parts)
    for (const { id, user, role, tenant } of gone)
      await engine.cancel(userOf(user, role, { tenant: tenant || null }), id)
    await engine.idle()
    await locker.close()
  }
}

function missingLine({ id, user, tenant, size, found }: Missing): string {
  const what = found === null ? 'is not in the store' : `has ${found} bytes in the store and not ${size}`
  return `${nameOf(user, tenant)}: file ${id} ${what}`
}

function driftLines({ user, tenant, kept, actual }: Drift): string[] {
  return Object.entries(actual)
    .map(([name, value]) => ({ name, value, was: kept?.[name as keyof typeof actual] ?? 0 }))
    .filter(({ value, was }) => value !== was)
    .map(({ name, value, was }) => `${nameOf(user, tenant)}: ${name} is ${value}, and not ${was}`)
}

function nameOf(user: string, tenant: string): string {
  return tenant === '' ? user : `${user} of ${tenant}`
}
