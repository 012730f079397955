import type { Database } from '../../src/db/open.ts'
import { testDatabase } from './open-engine.ts'

/** The test database, with lists of the statements that were sent and answered. The named ones can be made to fail. */
export async function countingDatabase() {
  const real = await testDatabase()
  const sent: string[] = []
  const answered: string[] = []
  const failing = new Set<string>()
  async function counted<T>(name: string, send: () => Promise<T>): Promise<T> {
    sent.push(name)
    if (failing.has(name)) throw new Error('failed by the test')
    const answer = await send()
    answered.push(name)
    return answer
  }
  const database: Database = {
    ...real,
    query: (statement, values) => counted(statement.name, () => real.query(statement, values)),
    queryOnce: (statement, values) => counted(statement.name, () => real.queryOnce(statement, values)),
  }
  return { database, sent, answered, fail: (name: string) => void failing.add(name) }
}
