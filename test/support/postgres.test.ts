import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freshDatabase, startPostgres } from './postgres.ts'

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

describe('a fresh database', () => {
  it('is empty, separate from others, and gone after its disposal', async () => {
    const [one, two] = await Promise.all([freshDatabase(), freshDatabase()])
    onTestFinished(() => two.dispose())

    await query(one.url, 'create table mark (id int)')
    const found = await query(two.url, `select to_regclass('mark') as mark`)
    await one.dispose()

    expect(found).toEqual([{ mark: null }])
    await expect(query(one.url, 'select 1')).rejects.toThrow('does not exist')
  }, 60_000)
})

describe('a cluster for one test', () => {
  it('keeps what was committed when it is killed and started again', async () => {
    const postgres = await startPostgres({ isDurable: true })
    onTestFinished(() => postgres.stop())
    await query(postgres.url, 'create table mark as select 7 as id')

    await postgres.kill()
    await expect(query(postgres.url, 'select 1')).rejects.toThrow('ECONNREFUSED')
    await postgres.start()

    expect(await query(postgres.url, 'select id from mark')).toEqual([{ id: 7 }])
  }, 60_000)
})
