import type { Config } from '../config.ts'
import { userOf } from '../core/upload.ts'
import { type Drift, findMissing, type Missing, reconcile } from '../features/quotas/reconcile.ts'
import { withEngine } from './engine-at.ts'

export interface Reconciling {
  isDry: boolean
  /** Also compares the sessions with the store. */
  looksIntoStore: boolean
}

/** Compares usage with the sessions, and the sessions with the store, and mends what differs; lines for an operator. */
export function reconcileQuotas(config: Config, { isDry, looksIntoStore }: Reconciling): Promise<string[]> {
  return withEngine(config, async ({ database, store, engine }) => {
    const missing: Missing[] = []
    if (looksIntoStore) for await (const one of findMissing(database, store)) missing.push(one)
    const gone = missing.filter(({ found }) => found === null)
    // As if their owners had deleted them: the sessions end, and the room is free.
    if (!isDry)
      for (const { id, user, role, tenant } of gone)
        await engine.cancel(userOf(user, role, { tenant: tenant || null }), id)
    const drifts = await reconcile(database, isDry)
    const lines = [...missing.map(missingLine), ...drifts.flatMap(driftLines)]
    return [...lines, isDry ? 'nothing was changed' : `mended the usage of ${drifts.length} users`]
  })
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
