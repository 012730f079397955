import { describe, expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../src/db/open.ts'
import { withSearchPath } from '../../src/db/search-path.ts'
import { freshDatabase } from '../support/postgres.ts'

const tables = { name: 'test-tables', text: `select count(*)::int as count from pg_tables where schemaname = $1` }

describe('a schema of its own', () => {
  it('is created and migrated, also when two servers start at once', async () => {
    const { url, dispose } = await freshDatabase()
    onTestFinished(dispose)
    const open = (schema: string) =>
      openDatabase({ url, schema, dataDir: '', pool: 2, timeoutMs: 60_000, onError: console.error })
    const [one, other, third] = await Promise.all([open('one'), open('other'), open('one')])
    onTestFinished(async () => void (await Promise.all([one, other, third].map((database) => database.close()))))

    await Promise.all([one, other, third].map((database) => database.migrate()))
    await one.migrate()

    const counts = await Promise.all(
      ['one', 'other', 'public', 'drizzle'].map(async (schema) => (await one.query(tables, [schema]))[0]),
    )
    expect(counts[0]).toEqual(counts[1])
    expect(counts.slice(2)).toEqual([{ count: 0 }, { count: 0 }])
    // Foreign keys of a schema point into it.
    const { rows } = await one.executeSql(`select confrelid::regclass::text as target from pg_constraint
      where contype = 'f' and connamespace = 'other'::regnamespace`)
    const schemas = (rows as { target: string }[]).map(({ target }) => target.split('.')[0])
    expect(new Set(schemas)).toEqual(new Set(['other']))
  })

  it('keeps the options that the server was given', () => {
    const url = 'postgres://ann@db/app?options=-c%20jit%3Doff&sslmode=disable'

    const ofUrl = withSearchPath({ connectionString: url }, 'files')
    const ofFields = withSearchPath({ host: 'db', options: '-c jit=off' }, 'files')

    expect(new URL(ofUrl.connectionString!).searchParams.get('options')).toBe('-c jit=off -c search_path=files')
    expect(ofFields.options).toBe('-c jit=off -c search_path=files')
    expect(withSearchPath({ connectionString: url }, 'public')).toEqual({ connectionString: url })
  })
})
