/*
 * Runs after the faults have ended: an engine with its own connections to database and store, past the proxies, runs the periodic jobs at
 * once until they have nothing left to do.
 */
import { randomUUID } from 'node:crypto'
import { createEngine } from '../../../src/core/create-engine.ts'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { defaultKeyTemplate } from '../../../src/core/object-key.ts'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import { creationRules } from '../../../src/core/policy/rules/index.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { finishUploads } from '../../../src/jobs/finish-uploads.ts'
import { createOutbox, type DeliveredEvent } from '../../../src/jobs/outbox.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { openLocker } from '../../../src/locks/index.ts'
import type { Environment } from './environment.ts'
import type { Model } from './model.ts'

/** Completes, expires and cleans up uploads and delivers events until nothing changes. Every server must have stopped. */
export async function settleAll({ pool, databaseUrl, store }: Environment, model: Model): Promise<DeliveredEvent[]> {
  const delivered: DeliveredEvent[] = []
  const onError = (error: unknown) => model.report(`a background job failed: ${String(error)}`)
  const database = await openDatabase({ url: databaseUrl, dataDir: '', pool: 5, timeoutMs: 5000, onError })
  const uploads = uploadRepository(database)
  const locker = await openLocker({ database, leaseMs: 30_000, waitMs: 5000, onError })
  const engine = createEngine({
    uploads,
    store,
    locker,
    policies: () => defaultPolicies,
    rules: creationRules,
    budget: createMemoryBudget(64 * 1024 ** 2),
    keyTemplate: defaultKeyTemplate,
    partSize: 5 * 1024 ** 2,
    chunkSize: 5 * 1024 ** 2,
    partsInFlight: 4,
    bodyIdleMs: 5000,
    minSpeed: 0,
    bodyTotalMs: 0,
    lossConfirmMs: 0,
    deleteGraceMs: 0,
    finishWaitMs: 60_000,
    newId: randomUUID,
    now: () => new Date(),
    onError,
  })
  const outbox = createOutbox(database, { listeners: [(event) => void delivered.push(event)] }, onError)

  // Makes interrupted completions and deletions due, open uploads expired, the leases of dead servers free, and undelivered events due.
  await pool.query(`update upload_sessions set updated_at = now() - interval '1 hour' where state = 'finishing'`)
  await pool.query(`update upload_sessions set expires_at = now() - interval '1 second' where state = 'receiving'`)
  await pool.query(`update upload_sessions set lease_until = now() - interval '1 second' where lease_until is not null`)
  const makeDeletionsDue = `update upload_sessions set delete_due_at = now() - interval '1 second' where delete_due_at is not null`
  await pool.query(makeDeletionsDue)
  await pool.query(`update upload_events set next_attempt_at = now()`)
  await finishUploads(engine, uploads)
  for (let round = 0; round < 5; round += 1) {
    const { expired, cleaned, deleted } = await sweep(engine, uploads, new Date())
    if (expired + cleaned + deleted === 0) break
  }
  await outbox.deliver()
  await engine.drained()
  await locker.close()
  await outbox.close()
  await database.close()
  return delivered
}
