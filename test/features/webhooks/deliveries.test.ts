import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import type { Database } from '../../../src/db/open.ts'
import { forgetDeliveries } from '../../../src/features/webhooks/delivery-list.ts'
import { takeDeliveries } from '../../../src/features/webhooks/delivery-rows.ts'
import { changeOwnEndpoint, createEndpoint, findOwnEndpoint } from '../../../src/features/webhooks/endpoints.ts'
import { fanOut } from '../../../src/features/webhooks/fan-out.ts'
import { replay, retryDelivery } from '../../../src/features/webhooks/replay.ts'
import { createSend, type Send } from '../../../src/features/webhooks/send.ts'
import { type Attempt, DeliveryWorker } from '../../../src/features/webhooks/worker.ts'
import type { DeliveredEvent } from '../../../src/jobs/outbox.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { type ReceivedMessage, type WebhookReceiver, webhookReceiver } from '../../support/webhook-receiver.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const startsAt = Date.parse('2026-01-01T00:00:00Z')

/** An endpoint of a new user, and events of that user's uploads, with a clock that stands until it is moved. */
async function open({ events = [] as string[], url }: { events?: string[]; url?: string } = {}) {
  const database = await testDatabase()
  // Workers would also send what other tests left.
  await database.query({ name: 'test-clear', text: 'delete from webhook_endpoints' }, [])
  const receiver = await webhookReceiver()
  const user = userOf(randomUUID(), 'creator', { tenant: 'acme' })
  let time = startsAt
  const clock = {
    now: () => new Date(time),
    move(ms: number) {
      time += ms
    },
  }
  const { endpoint } = await createEndpoint(
    database,
    user,
    { url: url ?? receiver.url, events, reach: 'own' },
    { now: clock.now(), most: 10 },
  )
  const attempts: Attempt[] = []
  const worker = (send: Send = createSend({ networks: ['127.0.0.1'], allowsHttp: true }), over = database) =>
    new DeliveryWorker({
      database: over,
      send,
      now: clock.now,
      random: () => 0.5,
      onAttempt: (attempt) => void attempts.push(attempt),
      onError(error) {
        throw error
      },
    })
  return { database, receiver, user, clock, endpoint, attempts, worker, ...makers(database, user, clock.now) }
}

function makers(database: Database, user: Actor, now: () => Date) {
  return {
    /** Writes an event, as the transaction of a change does. */
    addEvent: (uploadId: string, seq: number, type: DeliveredEvent['type'] = 'upload.created') =>
      addEvent(database, user, uploadId, seq, type, now()),
    /** The events of one upload, fanned out. */
    async addUpload(count: number, uploadId: string = randomUUID()) {
      for (let seq = 1; seq <= count; seq += 1)
        await fanOut(database, [await addEvent(database, user, uploadId, seq, 'upload.created', now())], now())
      return uploadId
    },
  }
}

async function addEvent(
  database: Database,
  { id, tenant }: Actor,
  uploadId: string,
  seq: number,
  type: DeliveredEvent['type'],
  createdAt: Date,
): Promise<DeliveredEvent> {
  const data = { ownerId: id, tenant, key: 'a/secret/key', filename: 'a.txt', contentType: 'text/plain' }
  const rest = { category: 'document', size: 5, failure: null, role: 'creator' }
  const [row] = await database.query<{ id: number }>(
    {
      name: 'test-event',
      text: `insert into upload_events (upload_id, seq, type, data, created_at, delivered_at) values ($1, $2, $3, $4, $5, $5) returning id`,
    },
    [uploadId, seq, type, JSON.stringify({ ...data, ...rest }), createdAt],
  )
  return { id: row!.id, uploadId, seq, type, data: { ...data, ...rest }, createdAt }
}

const seqsOf = (received: ReceivedMessage[], uploadId: string) =>
  received.filter(({ body }) => body.data.uploadId === uploadId).map(({ body }) => body.data.seq)
const answering = (receiver: WebhookReceiver, status: number, headers: Record<string, string> = {}) =>
  receiver.answerWith((_message, response) => void response.writeHead(status, headers).end())

describe('fanning out', () => {
  it('writes one delivery an event and endpoint, however often the event comes', async () => {
    const { database, worker, receiver, addEvent, clock } = await open()
    const event = await addEvent(randomUUID(), 1)

    const written = [await fanOut(database, [event], clock.now()), await fanOut(database, [event], clock.now())]
    await worker().deliver()

    expect(written).toEqual([1, 0])
    expect(receiver.received).toHaveLength(1)
  })

  it('asks the types of an endpoint', async () => {
    const { database, worker, receiver, addEvent, clock } = await open({ events: ['upload.completed'] })
    const uploadId = randomUUID()

    const events = [await addEvent(uploadId, 1, 'upload.created'), await addEvent(uploadId, 2, 'upload.completed')]
    await fanOut(database, events, clock.now())
    await worker().deliver()

    expect(receiver.received.map(({ body }) => body.type)).toEqual(['upload.completed'])
  })

  it.each([
    ['another user', {}, 'own', 0],
    ['the same name in another tenant', { tenant: 'globex' }, 'own', 0],
    ['an administrator of the tenant, for all', { tenant: 'acme', isAdmin: true }, 'all', 1],
    ['an administrator of another tenant, for all', { tenant: 'globex', isAdmin: true }, 'all', 0],
    ['an administrator of all tenants, for all', { tenant: null, isAdmin: true }, 'all', 1],
    ['an administrator of all tenants, for their own', { tenant: null, isAdmin: true }, 'own', 0],
  ] as const)('tells %s what they may know', async (who, more, reach, expected) => {
    const { database, addEvent, clock, user } = await open()
    const id = who.startsWith('the same name') ? user.id : randomUUID()
    const other = userOf(id, 'creator', { tenant: 'acme', ...more })
    const creation = { url: 'https://a.example/', events: [], reach }
    const { endpoint } = await createEndpoint(database, other, creation, { now: clock.now(), most: 10 })
    const event = await addEvent(randomUUID(), 1)

    await fanOut(database, [event], clock.now())

    const text = 'select from webhook_deliveries where endpoint_id = $1 and event_id = $2'
    expect(await database.query({ name: 'test-told', text }, [endpoint.id, event.id])).toHaveLength(expected)
  })
})

describe('a delivery', () => {
  it('has the event, without the object key', async () => {
    const { receiver, worker, addUpload, user } = await open()
    const uploadId = await addUpload(1)

    await worker().deliver()

    expect(receiver.received[0]).toMatchObject({ id: expect.stringMatching(/^evt_\d+$/) })
    expect(receiver.received[0]!.body).toEqual({
      type: 'upload.created',
      timestamp: '2026-01-01T00:00:00.000Z',
      data: {
        uploadId,
        seq: 1,
        missingSeq: [],
        ownerId: user.id,
        tenant: 'acme',
        filename: 'a.txt',
        contentType: 'text/plain',
        category: 'document',
        size: 5,
        failure: null,
      },
    })
  })

  it('is made in order for each upload while two workers race', async () => {
    const { receiver, worker, addUpload, attempts } = await open()
    const uploads: string[] = []
    for (let count = 0; count < 20; count += 1) uploads.push(await addUpload(4))
    const send = createSend({ networks: ['127.0.0.1'], allowsHttp: true })
    const running = new Set<string>()
    const overlaps: string[] = []
    const watched: Send = async (message, signal) => {
      const { uploadId } = JSON.parse(message.body).data
      if (running.has(uploadId)) overlaps.push(uploadId)
      running.add(uploadId)
      return send(message, signal).finally(() => running.delete(uploadId))
    }

    await Promise.all([worker(watched).deliver(), worker(watched).deliver()])
    await worker(watched).deliver()

    for (const id of uploads) expect(seqsOf(receiver.received, id)).toEqual([1, 2, 3, 4])
    expect(overlaps).toEqual([])
    expect(attempts).toHaveLength(80)
  })

  it('that fails waits, and only the later ones of its upload wait with it', async () => {
    const { receiver, worker, addUpload, clock } = await open()
    const [slow, other] = [await addUpload(2), await addUpload(2)]
    receiver.answerWith(({ body }, response) => void response.writeHead(body.data.uploadId === slow ? 500 : 200).end())

    await worker().deliver()
    expect(seqsOf(receiver.received, slow)).toEqual([1])
    expect(seqsOf(receiver.received, other)).toEqual([1, 2])

    answering(receiver, 204)
    clock.move(5000)
    await worker().deliver()
    expect(seqsOf(receiver.received, slow)).toEqual([1, 1, 2])
  })

  it('is repeated with its id and in order when the worker died before its record', async () => {
    const { database, receiver, worker, addUpload, clock } = await open()
    const uploadId = await addUpload(3)
    const [taken] = await takeDeliveries(database, clock.now(), 10)
    await createSend({ networks: ['127.0.0.1'], allowsHttp: true })(
      {
        url: taken!.url,
        headers: { 'webhook-id': `evt_${taken!.eventId}` },
        body: JSON.stringify({ data: { uploadId, seq: 1 } }),
      },
      new AbortController().signal,
    )

    await worker().deliver()
    expect(seqsOf(receiver.received, uploadId)).toEqual([1])

    clock.move(minute)
    await worker().deliver()
    expect(seqsOf(receiver.received, uploadId)).toEqual([1, 1, 2, 3])
    expect(new Set(receiver.received.slice(0, 2).map(({ id }) => id)).size).toBe(1)
  })

  it('that becomes due while a worker reads the rows is sent in the same round', async () => {
    const { database, receiver, worker, addUpload } = await open()
    let isFirst = true
    const reading: Database = {
      ...database,
      async query<T>(...[statement, ...rest]: Parameters<Database['query']>) {
        const rows = await database.query<T>(statement, ...rest)
        if (statement.name !== 'webhook-take' || !isFirst) return rows
        isFirst = false
        await addUpload(1)
        racing.wake()
        return rows
      },
    }
    const racing = worker(undefined, reading)

    expect(await racing.deliver()).toBe(1)
    expect(receiver.received).toHaveLength(1)
  })

  it('that is running when the server stops is given back, and does not count', async () => {
    const { database, worker, addUpload, endpoint, attempts } = await open()
    await addUpload(1)
    const stopping = worker((_message, signal) => {
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ result: 'aborted', status: null, ms: 1 }))
        started()
      })
    })
    let started = () => {}
    const isStarted = new Promise<void>((resolve) => (started = resolve))
    const round = stopping.deliver()
    await isStarted

    await stopping.close(0)
    await round

    const text = 'select state, attempts, lease_token from webhook_deliveries where endpoint_id = $1'
    expect(await database.query({ name: 'test-given-back', text }, [endpoint.id])).toEqual([
      { state: 'waiting', attempts: 0, lease_token: null },
    ])
    expect(attempts).toEqual([])
  })

  it('that ended is forgotten after its retention, and one that waits is kept', async () => {
    const { database, receiver, worker, addUpload, clock, endpoint } = await open()
    const [dead, waiting] = [await addUpload(1), await addUpload(1)]
    await addUpload(1)
    receiver.answerWith(({ body }, response) => {
      response.writeHead([dead, waiting].includes(body.data.uploadId) ? 500 : 204).end()
    })
    await worker().deliver()
    const kill = `update webhook_deliveries set state = 'dead' where upload_id = $1`
    await database.query({ name: 'test-dead', text: kill }, [dead])
    const text = 'select state from webhook_deliveries where endpoint_id = $1 order by state'
    const states = async () =>
      (await database.query({ name: 'test-kept', text }, [endpoint.id])).map(({ state }) => state)

    await forgetDeliveries(database, clock.now(), day)
    const early = await states()
    clock.move(2 * day)
    await forgetDeliveries(database, clock.now(), 0)
    const forEver = await states()
    await forgetDeliveries(database, clock.now(), day)

    expect([early, forEver]).toEqual(Array(2).fill(['dead', 'delivered', 'waiting']))
    expect(await states()).toEqual(['waiting'])
  })

  it('is not ended by a worker whose lease ran out', async () => {
    const { database, receiver, worker, addUpload, clock, attempts } = await open()
    await addUpload(1)
    let finish = (_outcome: Awaited<ReturnType<Send>>) => {}
    const stalled = worker(() => new Promise((resolve) => (finish = resolve))).deliver()
    await expect
      .poll(() =>
        database.query({ name: 'test-sending', text: `select from webhook_deliveries where state = 'sending'` }, []),
      )
      .toHaveLength(1)
    clock.move(minute)
    answering(receiver, 500)
    await worker().deliver()

    finish({ result: 'answered', status: 200, retryAfter: undefined, ms: 1 })
    await stalled

    const states = await database.query(
      { name: 'test-states', text: `select state, last_status from webhook_deliveries order by id desc limit 1` },
      [],
    )
    expect(states).toEqual([{ state: 'waiting', last_status: 500 }])
    expect(attempts.some(({ result }) => result === 'failed')).toBe(true)
  })

  it('reaches a receiver that was down for an hour: no gap, no disorder', async () => {
    const { receiver, worker, addUpload, clock, attempts } = await open()
    receiver.answerWith((_message, response) => void response.destroy())
    const uploads: string[] = []
    for (let at = 0; at < hour; at += minute) {
      if (at % (10 * minute) === 0) uploads.push(await addUpload(3))
      await worker().deliver()
      clock.move(minute)
    }
    const whileDown = attempts.length
    receiver.received.length = 0
    answering(receiver, 204)

    clock.move(40 * minute)
    await worker().deliver()

    for (const id of uploads) expect(seqsOf(receiver.received, id)).toEqual([1, 2, 3])
    expect(attempts.filter(({ endpoint }) => endpoint === 'recovered')).toHaveLength(1)
    // Three attempts in the first ten minutes, then a probe in each ten.
    expect(whileDown).toBe(8)
  })

  it('is dead after the last attempt of the schedule, and the next names the gap', async () => {
    const { database, receiver, worker, addUpload, clock, attempts, endpoint, user } = await open()
    const poison = await addUpload(3)
    receiver.answerWith(({ body }, response) => {
      response.writeHead(body.data.uploadId === poison && body.data.seq === 1 ? 500 : 200).end()
    })
    const times: number[] = []
    for (const wait of [0, 5000, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, day]) {
      clock.move(wait - 1)
      if (wait > 0) await worker().deliver()
      clock.move(1)
      await worker().deliver()
      // Then another upload shows that the endpoint itself is well.
      await addUpload(1)
      await worker().deliver()
      times.push(attempts.filter(({ delivery }) => delivery.uploadId === poison && delivery.seq === 1).length)
    }

    expect(times).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(attempts.filter(({ result }) => result === 'dead')).toHaveLength(1)
    const later = receiver.received.filter(({ body }) => body.data.uploadId === poison && body.data.seq > 1)
    expect(later.map(({ body }) => [body.data.seq, body.data.missingSeq])).toEqual([
      [2, [1]],
      [3, [1]],
    ])
    expect((await findOwnEndpoint(database, user, endpoint.id, clock.now())).endpoint.state).toBe('on')
  })

  it('keeps a Retry-After for the whole endpoint, at most a day', async () => {
    const { receiver, worker, addUpload, clock } = await open()
    await addUpload(1)
    answering(receiver, 429, { 'retry-after': '999999999' })
    await worker().deliver()
    answering(receiver, 204)
    await addUpload(1)

    clock.move(day - 1)
    await worker().deliver()
    expect(receiver.received).toHaveLength(1)

    clock.move(1)
    await worker().deliver()
    expect(receiver.received).toHaveLength(3)
  })

  it('answered with 410 pauses the endpoint; switched on, it receives what waited', async () => {
    const { database, receiver, worker, addUpload, clock, endpoint, user } = await open()
    const uploadId = await addUpload(2)
    answering(receiver, 410)
    await worker().deliver()
    const paused = (await findOwnEndpoint(database, user, endpoint.id, clock.now())).endpoint
    clock.move(day)
    const later = await addUpload(1)
    await worker().deliver()
    expect(receiver.received).toHaveLength(1)

    answering(receiver, 204)
    await changeOwnEndpoint(database, user, endpoint.id, { state: 'on' })
    await worker().deliver()

    expect(paused).toMatchObject({ state: 'paused', pausedBecause: 'gone' })
    expect(seqsOf(receiver.received, uploadId)).toEqual([1, 1, 2])
    expect(seqsOf(receiver.received, later)).toEqual([1])
  })

  it('is a probe each ten minutes while the endpoint fails; five days pause it', async () => {
    const { database, receiver, worker, addUpload, clock, endpoint, user, attempts } = await open()
    answering(receiver, 503)
    await addUpload(1)
    await worker().deliver()
    clock.move(10 * minute)
    await worker().deliver()
    for (let uploads = 0; uploads < 30; uploads += 1) await addUpload(1)
    clock.move(10 * minute - 1)
    await Promise.all([worker().deliver(), worker().deliver()])
    const before = attempts.length
    clock.move(1)
    await worker().deliver()
    const probes = attempts.length - before
    for (let passed = 0; passed < 5 * day; passed += 6 * hour) {
      clock.move(6 * hour)
      await addUpload(1)
      await worker().deliver()
    }

    expect([before, probes]).toEqual([2, 1])
    expect((await findOwnEndpoint(database, user, endpoint.id, clock.now())).endpoint).toMatchObject({
      state: 'paused',
      pausedBecause: 'failing',
    })
    expect(attempts.filter(({ endpoint }) => endpoint === 'paused')).toHaveLength(1)
    const text = `select note from audit_log where action = 'webhook.pause' and target = $1`
    expect(await database.query({ name: 'test-audit', text }, [endpoint.id])).toEqual([{ note: 'failing' }])
  })
})

describe('a replay', () => {
  it('sends dead events again with their ids, and nothing else', async () => {
    const { database, receiver, worker, addUpload, clock, endpoint, user } = await open()
    const uploadId = await addUpload(2)
    const text = `update webhook_deliveries set state = 'dead' where endpoint_id = $1 and seq = 1`
    await database.query({ name: 'test-kill', text }, [endpoint.id])
    await worker().deliver()
    const range = { since: new Date(startsAt).toISOString(), until: new Date(startsAt + 1).toISOString() }

    const started = await replay(database, user, endpoint.id, range, { only: 'dead' }, clock.now())
    await worker().deliver()

    expect(started).toEqual({ replayed: 1, next: null })
    expect(seqsOf(receiver.received, uploadId)).toEqual([2, 1])
    expect(receiver.received[0]!.body.data.missingSeq).toEqual([1])
  })

  it('of all events is paced, bounded, and reaches back before the endpoint', async () => {
    const { database, receiver, worker, addEvent, clock, endpoint, user } = await open()
    const uploadId = randomUUID()
    for (let seq = 1; seq <= 1002; seq += 1) {
      clock.move(1)
      await addEvent(uploadId, seq)
    }
    const range = { since: new Date(startsAt).toISOString(), until: new Date(startsAt + day).toISOString() }

    const first = await replay(database, user, endpoint.id, range, { only: 'upload', uploadId }, clock.now())
    await worker().deliver()
    const atOnce = receiver.received.length
    clock.move(1000)
    await worker().deliver()

    expect(first).toEqual({ replayed: 1000, next: new Date(startsAt + 1001) })
    expect([atOnce, receiver.received.length]).toEqual([1, 11])
    const rest = { ...range, since: first.next!.toISOString() }
    expect(await replay(database, user, endpoint.id, rest, { only: 'all' }, clock.now())).toEqual({
      replayed: 2,
      next: null,
    })
  })

  it('of one delivery sends it at once', async () => {
    const { database, receiver, worker, addUpload, clock, endpoint } = await open()
    await addUpload(1)
    await worker().deliver()
    const text = 'select id from webhook_deliveries where endpoint_id = $1'
    const [row] = await database.query<{ id: number }>({ name: 'test-id', text }, [endpoint.id])

    const known = await retryDelivery(database, endpoint.id, row!.id, clock.now())
    await worker().deliver()

    expect([known, await retryDelivery(database, randomUUID(), row!.id, clock.now())]).toEqual([true, false])
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1)
    expect(receiver.received).toHaveLength(2)
  })
})
