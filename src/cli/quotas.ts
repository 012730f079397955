import type { Config } from '../config.ts'
import type { RunningEngine } from '../core/engine.ts'
import { checkFiles, type Drift, type FileCheck, reconcile } from '../features/usage/reconcile.ts'
import { withEngine } from './engine-at.ts'
import { operator } from './uploads.ts'

export interface ReconcileOptions {
  isDry: boolean
  /** Also compares completed uploads with the store. */
  checksStore: boolean
}

/** Compares usage with the uploads, and the uploads with the store, and corrects differences; returns lines for an operator. */
export function reconcileQuotas(config: Config, { isDry, checksStore }: ReconcileOptions): Promise<string[]> {
  return withEngine(config, async ({ database, store, engine, pairing }) => {
    const lines: string[] = []
    // After the database was restored from a backup a missing object is no loss: a later row that the backup lacks may have moved it.
    const mayEnd = !isDry && checksStore && (await pairing.mayRemove())
    if (checksStore)
      for await (const file of checkFiles(database, store)) {
        const observed = mayEnd ? await observe(file, engine) : null
        if (observed !== 'there' && file.found !== file.size)
          lines.push(`${fileLine(file)}${consequence(observed, config)}`)
      }
    if (checksStore && !isDry && !mayEnd)
      lines.push('no upload was marked as lost: the database was restored from a backup, or this is not its store')
    const drifts = await reconcile(database, isDry)
    lines.push(...drifts.flatMap(driftLines))
    return [...lines, isDry ? 'nothing was changed' : `corrected the usage of ${drifts.length} users`]
  })
}

/** Records a missing object, or takes an earlier observation back when the object is there again. */
async function observe({ id, found, wasMissing }: FileCheck, engine: RunningEngine) {
  return found === null || wasMissing ? engine.observeFile(id, operator()) : null
}

function fileLine({ id, user, tenant, size, found }: FileCheck): string {
  const what = found === null ? 'is not in the store' : `has ${found} bytes in the store instead of ${size}`
  return `${nameOf(user, tenant)}: file ${id} ${what}`
}

function consequence(observed: 'there' | 'missing' | 'ended' | null, { LOSS_CONFIRM: pauseMs }: Config): string {
  if (observed === 'ended') return '; the upload has failed as lost, and no longer counts towards the quota'
  if (observed === 'missing')
    return `; the upload fails as lost if it is still missing when this command runs again after ${Math.ceil(pauseMs / 60_000)} minutes`
  return ''
}

function driftLines({ user, tenant, recorded, actual }: Drift): string[] {
  return Object.entries(actual)
    .map(([name, value]) => ({ name, value, was: recorded?.[name as keyof typeof actual] ?? 0 }))
    .filter(({ value, was }) => value !== was)
    .map(({ name, value, was }) => `${nameOf(user, tenant)}: ${name} is ${value}, but was recorded as ${was}`)
}

function nameOf(user: string, tenant: string): string {
  return tenant === '' ? user : `${user} of ${tenant}`
}
