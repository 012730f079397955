import type { Config } from '../config.ts'
import { previewSweep, sweep } from '../jobs/sweep.ts'
import { sweepOrphans } from '../jobs/sweep-orphans.ts'
import { withEngine } from './engine-at.ts'

/** Sweeps once, or prints what a sweep would do if `isDry`; lines for an operator. Safe while servers run. */
export function sweepOnce(config: Config, isDry: boolean): Promise<string[]> {
  return withEngine(config, async ({ engine, uploads, store, pairing, now }) => {
    if (!(await pairing.mayRemove()))
      return [
        'the store is not paired with this database, or the database was restored from a backup: nothing was changed',
      ]
    if (isDry) {
      const { expired, orphans } = await previewSweep(uploads, store, now())
      return [
        ...expired.map((id) => `would expire ${id}`),
        ...orphans.map((key) => `would remove ${key}`),
        'nothing was changed',
      ]
    }
    const { expired, cleaned } = await sweep(engine, uploads, now())
    const orphans = await sweepOrphans(engine, uploads, store)
    return [`expired ${expired} uploads, cleaned up after ${cleaned + orphans}`]
  })
}
