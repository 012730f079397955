import { globSync, readFileSync } from 'node:fs'
import type { Database, Statement } from '../../src/db/open.ts'

export interface Asked extends Statement {
  /** Those of the last time. */
  values: unknown[]
}

/** `database`, and every statement with a name that was sent through it. */
export function recorded(database: Database): { database: Database; asked: Map<string, Asked> } {
  const asked = new Map<string, Asked>()
  const note = (statement: Statement, values: unknown[]) => asked.set(statement.name, { ...statement, values })
  return {
    asked,
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

/** The names of all statements that the server's source knows. */
export function namesInSource(): string[] {
  const names = new Set<string>()
  for (const file of globSync('src/{db,features,jobs,locks,telemetry}/**/*.ts')) {
    const source = readFileSync(file, 'utf8')
    for (const [, name] of source.matchAll(/name: '([a-z-]+)',\s*(?:\/\/[^\n]*\s*)*text:/g)) names.add(name!)
  }
  return [...names].toSorted()
}
