import { globSync, readFileSync } from 'node:fs'
import type { Database } from '../../src/db/open.ts'
import type { Statement } from '../../src/db/statement.ts'

export interface SentStatement extends Statement {
  /** The values of the last execution. */
  values: unknown[]
}

/** A wrapper of `database`, and the named statements that were sent through it. */
export function recorded(database: Database): { database: Database; sent: Map<string, SentStatement> } {
  const sent = new Map<string, SentStatement>()
  const note = (statement: Statement, values: unknown[]) => sent.set(statement.name, { ...statement, values })
  return {
    sent,
    database: {
      ...database,
      query<T>(statement: Statement, values: unknown[]) {
        note(statement, values)
        return database.query<T>(statement, values)
      },
      queryOnce<T>(statement: Statement, values: unknown[]) {
        note(statement, values)
        return database.queryOnce<T>(statement, values)
      },
    },
  }
}

/** The names of all statements in the source. */
export function namesInSource(): string[] {
  const names = new Set<string>()
  for (const file of globSync('src/{db,features,jobs,locks,telemetry}/**/*.ts')) {
    const source = readFileSync(file, 'utf8')
    for (const [, name] of source.matchAll(/name: '([a-z-]+)',\s*(?:\/\/[^\n]*\s*)*text:/g)) names.add(name!)
  }
  return [...names].toSorted()
}
