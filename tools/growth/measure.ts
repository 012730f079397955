import pg from 'pg'
import { openDatabase } from '../../src/db/open.ts'
import { memoryStore } from '../../test/support/memory-store.ts'
import { type Plan, plansOf } from './plans.ts'
import { growTo, type Size, sizesOf } from './rows.ts'
import { askEverything } from './workload.ts'

/** Grows the database at `url` to `rows` uploads and looks at how it answers whatever a server asks then. */
export async function measureGrowth(
  url: string,
  rows: number,
  say: (what: string) => void,
): Promise<{ plans: Plan[]; sizes: Size[] }> {
  const database = await openDatabase({ url, dataDir: '', pool: 1, timeoutMs: 60_000, onError: console.error })
  await database.migrate()
  await database.close()
  // The database remembers its store: both servers must find the same one.
  const store = memoryStore()
  // Something real to grow from.
  await askEverything(url, 'first', store)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await growTo(client, rows, say)
    say('statements')
    const asked = await askEverything(url, 'crowd', store)
    say('plans')
    return { plans: await plansOf(url, asked.values()), sizes: await sizesOf(client) }
  } finally {
    await client.end()
  }
}
