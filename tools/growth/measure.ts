import pg from 'pg'
import { openDatabase } from '../../src/db/open.ts'
import { memoryStore } from '../../test/support/memory-store.ts'
import { type Plan, plansOf } from './plans.ts'
import { growTo, type Size, sizesOf } from './rows.ts'
import { sendEveryStatement } from './workload.ts'

/** Fills the database at `url` with `rows` uploads, then reads the plan of every statement that a server sends. */
export async function measureGrowth(
  url: string,
  rows: number,
  log: (text: string) => void,
): Promise<{ plans: Plan[]; sizes: Size[] }> {
  const database = await openDatabase({ url, dataDir: '', pool: 1, timeoutMs: 60_000, onError: console.error })
  await database.migrate()
  await database.close()
  // The database is paired with its store: both servers must use the same one.
  const store = memoryStore()
  // Creates the rows that are multiplied.
  await sendEveryStatement(url, 'first', store)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await growTo(client, rows, log)
    log('statements')
    const statements = await sendEveryStatement(url, 'crowd', store)
    // How often the workers of the server have tried depends on the machine; autovacuum removes what that leaves.
    await client.query('vacuum analyze')
    log('plans')
    return { plans: await plansOf(url, statements.values()), sizes: await sizesOf(client) }
  } finally {
    await client.end()
  }
}
