import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Database } from '../../src/db/open.ts'
import { createOutbox, type DeliveredEvent } from '../../src/jobs/outbox.ts'
import { testDatabase } from '../support/open-engine.ts'

const add = {
  name: 'test-add',
  text: `insert into upload_events (upload_id, seq, type, data) values ($1, $2, 'upload.completed', '{}')`,
}
const dueNow = { name: 'test-due', text: `update upload_events set next_attempt_at = now() where delivered_at is null` }

async function addEvents(database: Database, ...uploads: [id: string, count: number][]) {
  for (const [id, count] of uploads) for (let seq = 1; seq <= count; seq += 1) await database.query(add, [id, seq])
}

describe('the outbox', () => {
  it('delivers every event once, in order for each upload', async () => {
    const database = await testDatabase()
    const [a, b] = [randomUUID(), randomUUID()]
    await addEvents(database, [a, 3], [b, 2])
    const delivered: DeliveredEvent[] = []

    const outbox = createOutbox(database, { listeners: [(event) => void delivered.push(event)] }, () => {})
    await outbox.deliver()
    await outbox.deliver()

    expect(delivered.filter((event) => event.uploadId === a).map((event) => event.seq)).toEqual([1, 2, 3])
    expect(delivered.filter((event) => event.uploadId === b).map((event) => event.seq)).toEqual([1, 2])
  })

  it('delivers again after a listener failed, before later events of the same upload', async () => {
    const database = await testDatabase()
    const [a, b] = [randomUUID(), randomUUID()]
    await addEvents(database, [a, 2], [b, 1])
    const delivered: string[] = []
    let fails = true
    const listen = (event: DeliveredEvent) => {
      if (event.uploadId === a && fails) throw new Error('the listener is down')
      delivered.push(`${event.uploadId === a ? 'a' : 'b'}${event.seq}`)
    }

    const outbox = createOutbox(database, { listeners: [listen] }, () => {})
    await outbox.deliver()
    expect(delivered).toEqual(['b1'])
    fails = false
    await database.query(dueNow, [])
    await outbox.deliver()

    expect(delivered).toEqual(['b1', 'a1', 'a2'])
  })

  it('delivers a refused batch again, before a listener of events has one', async () => {
    const database = await testDatabase()
    const [a, b] = [randomUUID(), randomUUID()]
    await addEvents(database, [a, 2], [b, 1])
    const taken: string[] = []
    const one = (event: DeliveredEvent) => void taken.push(`${event.uploadId === a ? 'a' : 'b'}${event.seq}`)
    const batches: number[] = []
    let fails = true
    const all = (events: DeliveredEvent[]) => {
      batches.push(events.length)
      if (fails) throw new Error('the database is down')
    }

    const outbox = createOutbox(database, { listeners: [one], batchListeners: [all] }, () => {})
    await outbox.deliver()
    expect([batches, taken]).toEqual([[2], []])
    fails = false
    await database.query(dueNow, [])
    await outbox.deliver()

    // The second event of an upload waits for the first.
    expect(batches).toEqual([2, 2, 1])
    expect(taken).toEqual(['a1', 'b1', 'a2'])
  })

  it('delivers an event whose node died during its delivery', async () => {
    const database = await testDatabase()
    const a = randomUUID()
    await addEvents(database, [a, 1])
    const delivered: number[] = []
    // The listener of the node that dies takes the event and never ends.
    await new Promise<void>((resolve) => {
      const listen = () => new Promise<void>(() => resolve())
      void createOutbox(database, { listeners: [listen] }, () => {}).deliver()
    })

    const other = createOutbox(database, { listeners: [(event) => void delivered.push(event.seq)] }, () => {})
    await other.deliver()
    expect(delivered).toEqual([])
    await database.query(dueNow, [])
    await other.deliver()

    expect(delivered).toEqual([1])
  })
})
