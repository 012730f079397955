import { expect, it, onTestFinished } from 'vitest'
import { type Database, openDatabase } from '../../../src/db/open.ts'
import { forgetAudit, sealAudit } from '../../../src/features/audit/chain.ts'
import { writeAudit } from '../../../src/features/audit/log.ts'
import { verifyAudit } from '../../../src/features/audit/verify.ts'
import { freshDatabase } from '../../support/postgres.ts'

const secret = 'a secret that is long enough for HS256'

it('verifies an unchanged audit log, and counts unsealed entries', async () => {
  const database = await withEntries(5)

  const head = await sealAudit(database, secret, 2)
  await add(database, 2)

  expect(await verifyAudit(database, [secret], head)).toEqual({ problem: null, head, sealed: 5, unsealed: 2 })
})

it('detects a changed entry', async () => {
  const database = await withEntries(5)
  await sealAudit(database, secret)

  await asOwner(
    database,
    `update audit_log set actor = 'mallory' where id = (select audit_id from audit_seals where seq = 3)`,
  )

  expect((await verifyAudit(database, [secret])).problem).toMatch(/^entry 3 \(id \d+\) or its seal was changed/)
})

it('detects a removed entry, also when its seal was removed', async () => {
  const database = await withEntries(5)
  await sealAudit(database, secret)

  await asOwner(database, `delete from audit_log where id = (select audit_id from audit_seals where seq = 3)`)
  expect((await verifyAudit(database, [secret])).problem).toMatch(/^entry 3 \(id \d+\) was removed/)

  await asOwner(database, `delete from audit_seals where seq = 3`)
  expect((await verifyAudit(database, [secret])).problem).toMatch(/^entry 3 and its seal were removed/)
})

it('detects a removed start of the chain without a signed checkpoint', async () => {
  const database = await withEntries(5)
  await sealAudit(database, secret)

  await asOwner(
    database,
    `delete from audit_log where id in (select audit_id from audit_seals where seq <= 2);
    delete from audit_seals where seq <= 2`,
  )
  expect((await verifyAudit(database, [secret])).problem).toMatch(/^entry 1 and its seal were removed/)

  await asOwner(database, `insert into audit_checkpoint select 1, 2, 'made up', 'made up'`)
  expect((await verifyAudit(database, [secret])).problem).toMatch(/^the checkpoint at 2 is not signed/)
})

it('detects a chain that was sealed again without the secret', async () => {
  const database = await withEntries(5)
  await sealAudit(database, secret)

  await asOwner(database, `update audit_log set actor = 'mallory'; delete from audit_seals`)
  await sealAudit(database, 'a guess by the owner of the database')

  expect((await verifyAudit(database, [secret])).problem).toMatch(/is not signed with JWT_SECRET/)
})

it('detects a removed end in the middle of a batch, or with an anchor', async () => {
  const database = await withEntries(4)
  await sealAudit(database, secret)
  await add(database, 3)
  const anchor = await sealAudit(database, secret)
  const cut = (seq: number) =>
    asOwner(
      database,
      `delete from audit_log where id in (select audit_id from audit_seals where seq > ${seq});
      delete from audit_seals where seq > ${seq}`,
    )

  await cut(5)
  expect((await verifyAudit(database, [secret])).problem).toMatch(/^the chain ends at 5 without a signature/)

  await cut(4)
  expect((await verifyAudit(database, [secret], anchor)).problem).toMatch(
    /^the chain ends at 4: entries up to 7 were removed/,
  )
})

it('builds one chain with several sealers at once', async () => {
  const database = await withEntries(40)

  await Promise.all([1, 2, 3].map(() => sealAudit(database, secret, 7)))

  expect(await verifyAudit(database, [secret])).toMatchObject({ problem: null, sealed: 40, unsealed: 0 })
})

it('verifies what retention leaves, also with a secret that only verifies', async () => {
  const database = await withEntries(3, '10 days')
  await add(database, 2)

  await forgetAudit(database, secret, 86_400_000)
  await add(database, 1)
  const head = await sealAudit(database, 'another secret that is long enough')

  const secrets = ['another secret that is long enough', secret]
  expect(await verifyAudit(database, secrets)).toEqual({ problem: null, head, sealed: 3, unsealed: 0 })
  expect(head.seq).toBe(6)
})

it('continues the chain after retention removed all entries', async () => {
  const database = await withEntries(3, '10 days')

  await forgetAudit(database, secret, 86_400_000)
  await add(database, 1)

  expect((await sealAudit(database, secret)).seq).toBe(4)
  expect(await verifyAudit(database, [secret])).toMatchObject({ problem: null, sealed: 1 })
})

async function withEntries(count: number, age = '0 days'): Promise<Database> {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  onTestFinished(dispose)
  const database = await openDatabase({ url, dataDir: '', pool: 4, timeoutMs: 60_000, onError: console.error })
  onTestFinished(database.close)
  await database.migrate()
  await database.executeSql(`insert into audit_log (at, action, is_allowed, actor)
    select now() - interval '${age}', 'upload.create', true, 'ann ' || n from generate_series(1, ${count}) n`)
  return database
}

async function add(database: Database, count: number): Promise<void> {
  const by = { id: 'ann', role: 'member', tenant: 'acme' }
  for (let n = 0; n < count; n += 1)
    await writeAudit(database, [{ action: 'upload.cancel', isAllowed: true, by, note: 'a\nnote' }])
}

/** Runs statements as the owner of the database, who can disable triggers. */
async function asOwner(database: Database, statements: string): Promise<void> {
  await database.executeSql(`begin; set local session_replication_role = replica; ${statements}; commit`)
}
