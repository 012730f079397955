import type { Config } from '../config.ts'
import type { RunningEngine } from '../core/engine.ts'
import { type Drift, type Looked, lookAtFiles, reconcile } from '../features/quotas/reconcile.ts'
import { withEngine } from './engine-at.ts'
import { operator } from './uploads.ts'

export interface ReconcileOptions {
  isDry: boolean
  /** Also compares the sessions with the store. */
  checksStore: boolean
}

/** Compares usage with the sessions, and the sessions with the store, and mends what differs; lines for an operator. */
export function reconcileQuotas(config: Config, { isDry, checksStore }: ReconcileOptions): Promise<string[]> {
  return withEngine(config, async ({ database, store, engine, pairing }) => {
    const lines: string[] = []
    // For a database that was restored nothing is lost: the store may know of the file under a later row.
    const mayEnd = !isDry && checksStore && (await pairing.mayRemove())
    if (checksStore)
      for await (const file of lookAtFiles(database, store)) {
        const seen = mayEnd ? await observe(file, engine) : null
        if (seen !== 'there' && file.found !== file.size) lines.push(`${lookedLine(file)}${whatNext(seen, config)}`)
      }
    if (checksStore && !isDry && !mayEnd)
      lines.push('no file was given up: the database was restored from a backup, or the store is not the right one')
    const drifts = await reconcile(database, isDry)
    lines.push(...drifts.flatMap(driftLines))
    return [...lines, isDry ? 'nothing was changed' : `mended the usage of ${drifts.length} users`]
  })
}

/** Takes the look as an observation; also that a file is there again, which takes an older one back. */
async function observe({ id, found, wasMissing }: Looked, engine: RunningEngine) {
  return found === null || wasMissing ? engine.observeFile(id, operator()) : null
}

function lookedLine({ id, user, tenant, size, found }: Looked): string {
  const what = found === null ? 'is not in the store' : `has ${found} bytes in the store and not ${size}`
  return `${nameOf(user, tenant)}: file ${id} ${what}`
}

function whatNext(seen: 'there' | 'missing' | 'ended' | null, { LOSS_CONFIRM: pauseMs }: Config): string {
  if (seen === 'ended') return '; it has failed as lost, and its room is free'
  if (seen === 'missing')
    return `; it is given up when this command finds the same ${Math.ceil(pauseMs / 60_000)} minutes after the first time`
  return ''
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
