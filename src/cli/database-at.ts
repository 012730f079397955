import { openConfiguredDatabase } from '../app/foundation.ts'
import type { Config } from '../config.ts'
import type { PolicyDocument } from '../core/policy/policy.ts'
import type { Database } from '../db/open.ts'
import type { Outage } from '../db/outage.ts'
import { policyVersionsIn } from '../policies/versions.ts'

/** Runs `work` with the configured database, which servers may use meanwhile, and closes it however `work` ends. */
export async function withDatabase<T>(config: Config, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await openConfiguredDatabase(config, { onError: (error) => console.error(error), onOutage })
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

function onOutage(outage: Outage): void {
  if (outage.state === 'lost') console.error(`landfall: the database does not answer (${outage.reason}); trying again`)
}

/** The active policies: those in the database, or those of the settings before the first start of a server. */
export async function policiesAt(database: Database, { POLICIES }: Config): Promise<PolicyDocument> {
  return (await policyVersionsIn(database).latest())?.document ?? POLICIES
}
