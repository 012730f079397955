import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { ada, bodyOf, openEngine, testDatabase } from '../support/open-engine.ts'
import { freshDatabase } from '../support/postgres.ts'

let database: Database

beforeAll(async () => {
  const fresh = await freshDatabase()
  database = await openDatabase({ url: fresh.url, dataDir: '', pool: 5, timeoutMs: 60_000, onError: () => {} })
  await database.executeSql('create table notes (id int primary key)')
  return async () => {
    await database.close()
    await fresh.dispose()
  }
}, 60_000)

const insertNote = {
  name: 'note-insert',
  text: 'insert into notes values ($1) returning pg_current_xact_id()::text as transaction',
}
const isThere = { name: 'note-find', text: 'select from notes where id = $1' }
const terminate = { name: 'terminate', text: 'select pg_terminate_backend(pg_backend_pid()), $1::int' }

let lastId = 0
const insert = (group?: string, id = (lastId += 1)) =>
  database.query<{ transaction: string }>(insertNote, [id], group).then(([row]) => row!.transaction)

describe('statements of one group', () => {
  it('share a transaction when they wait at the same time', async () => {
    const group = randomUUID()

    const [first, second, ...others] = await Promise.all(Array.from({ length: 9 }, () => insert(group)))

    expect(new Set(others).size).toBe(1)
    expect(new Set([first, second, others[0]]).size).toBe(3)
  })

  it('are committed each for itself when one of them fails', async () => {
    const group = randomUUID()
    await insert(undefined, 1000)

    const ids = [1001, 1002, 1000, 1003]
    const ended = await Promise.allSettled(ids.map((id) => insert(group, id)))

    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    for (const id of ids) expect(await database.query(isThere, [id])).toHaveLength(1)
  })

  it('run again when the connection was lost before they were committed', async () => {
    const group = randomUUID()
    const first = [insert(group), insert(group)]
    const lost = database.queryOnce(terminate, [1], group)
    const others = [insert(group, 2001), insert(group, 2002)]

    await Promise.all([...first, ...others])

    expect(await lost).toBeUndefined()
    for (const id of [2001, 2002]) expect(await database.query(isThere, [id])).toHaveLength(1)
  })

  it('do not wait for another group', async () => {
    const blocked = database.orm.transaction(async (transaction) => {
      await transaction.execute('insert into notes values (3000)')
      const waiting = insert(randomUUID(), 3000)
      waiting.catch(() => {})
      const behind = insert(randomUUID())

      await behind

      transaction.rollback()
    })

    await expect(blocked).rejects.toThrow('Rollback')
  })
})

describe('the statements of an upload', () => {
  /** The groups of the statements that created and completed an upload. */
  async function groupsOf(isPartial: boolean): Promise<(string | undefined)[]> {
    const real = await testDatabase()
    const groups: (string | undefined)[] = []
    const watched: Database = {
      ...real,
      query: (statement, values, group) => {
        if (statement.name === 'upload-insert') groups.push(group)
        return real.query(statement, values, group)
      },
      queryOnce: (statement, values, group) => {
        groups.push(group)
        return real.queryOnce(statement, values, group)
      },
    }
    const { engine } = await openEngine({ database: watched })
    const { id } = await engine.create(ada, { filename: 'a.txt', contentType: 'text/plain', size: 4, isPartial })
    await engine.append(ada, id, { offset: 0, body: bodyOf(Buffer.from('1234')), bodySize: 4, ending: 'at-size' })
    return groups
  }

  it('that change the usage of its owner are in one group', async () => {
    const groups = await groupsOf(false)

    expect(groups).toHaveLength(2)
    expect(groups[0]).toContain('ada')
    expect(groups[1]).toBe(groups[0])
  })

  it('are in none where a final upload may lock its row as well', async () => {
    expect(await groupsOf(true)).toEqual([undefined, undefined])
  })
})
