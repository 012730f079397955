import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Database } from '../../../src/db/open.ts'
import { endStep, recoverSteps, renewStep, type TakenStep, takeStep } from '../../../src/features/steps/rows.ts'
import { type Ending, retryDelayMs, type Step } from '../../../src/features/steps/step.ts'
import { createWorker, type Worker, type WorkerOptions } from '../../../src/features/steps/worker.ts'
import { ada, bodyOf, openEngine, testDatabase } from '../../support/open-engine.ts'

let database: Database
let time: number
const now = () => new Date(time)
const minute = 60_000

beforeEach(async () => {
  database = await testDatabase()
  // Steps of other tests of this file are not due again.
  await query(
    `update steps set state = 'skipped', lease_token = null, lease_until = null where state in ('waiting', 'running')`,
  )
  time = Date.parse('2027-01-01T00:00:00Z')
})

const query = <T>(text: string, values: unknown[] = []) =>
  database.query<T>({ name: `test-${text}`.slice(0, 60), text }, values)

type NewStep = Pick<Step, 'name' | 'version' | 'isBlocking'>
const blocking = (name: string): NewStep => ({ name, version: 1, isBlocking: true })

/** Sends a file that `steps` follow. @returns its id */
async function send(steps: NewStep[]): Promise<string> {
  const { engine } = await openEngine({ newSteps: () => steps, now })
  const { id } = await engine.create(ada, { size: 5, filename: 'a.txt', contentType: 'text/plain' })
  await engine.append(ada, id, { offset: 0, body: bodyOf(Buffer.from('bytes')), bodySize: 5, ending: 'at-size' })
  return id
}

interface Seen {
  content: string
  steps: Record<string, unknown>
  events: string[]
}

async function seen(id: string): Promise<Seen> {
  const [content] = await query<{ state: string }>('select state from contents where id = $1', [id])
  const steps = await query<{ name: string; state: string }>('select name, state from steps where content_id = $1', [
    id,
  ])
  const events = await query<{ type: string }>('select type from upload_events where upload_id = $1 order by seq', [id])
  return {
    content: content!.state,
    steps: Object.fromEntries(steps.map(({ name, state }) => [name, state])),
    events: events.map(({ type }) => type),
  }
}

function stepThat(name: string, run: Step['run'], more: Partial<Step> = {}): Step {
  return { ...blocking(name), timeoutMs: minute, run, ...more }
}

const pass = async (): Promise<Ending> => ({ outcome: 'pass' })

/** Passes, and adds the id of the file to `ids`. */
function noting(ids: string[]): Step['run'] {
  return async ({ file }) => {
    ids.push(file.id)
    return { outcome: 'pass' }
  }
}

/** Resolves `begun`, and ends as `ending` does. */
function beginning(begun: PromiseWithResolvers<void>, ending: Promise<Ending>): Step['run'] {
  return () => {
    begun.resolve()
    return ending
  }
}

interface OpenWorker extends Worker {
  errors: unknown[]
  /** Runs everything that is due. */
  run(): Promise<void>
}

function open(steps: Step[], options: Partial<WorkerOptions> = {}): OpenWorker {
  const errors: unknown[] = []
  const worker = createWorker({
    database,
    steps,
    async *read() {
      yield Buffer.from('bytes')
    },
    now,
    onError: (error) => void errors.push(error),
    slots: 1,
    random: () => 0.5,
    ...options,
  })
  onTestFinished(() => worker.close())
  return {
    ...worker,
    errors,
    run() {
      worker.wake()
      return worker.idle()
    },
  }
}

const take = (name: string, more: object = {}): Promise<TakenStep | null> =>
  takeStep(database, {
    names: [name],
    now: now(),
    leaseUntil: new Date(time + minute),
    token: randomUUID(),
    isOldest: false,
    ...more,
  })

describe('a file with steps', () => {
  it('is held from its completion until its last blocking step has passed', async () => {
    const id = await send([blocking('one'), blocking('two'), { name: 'three', version: 1, isBlocking: false }])
    expect(await seen(id)).toMatchObject({ content: 'held', steps: { one: 'waiting', two: 'waiting' } })

    await open([stepThat('one', pass)]).run()
    expect(await seen(id)).toMatchObject({ content: 'held', events: ['upload.created', 'upload.completed'] })

    await open([stepThat('two', pass)]).run()
    expect(await seen(id)).toEqual({
      content: 'live',
      steps: { one: 'done', two: 'done', three: 'waiting' },
      events: ['upload.created', 'upload.completed', 'file.available'],
    })
  })

  it('is live at once when none of them blocks it', async () => {
    const id = await send([{ name: 'later', version: 1, isBlocking: false }])

    expect(await seen(id)).toMatchObject({ content: 'live', steps: { later: 'waiting' } })
  })

  it('becomes live when its last two steps pass at the same moment', async () => {
    const ids = []
    for (let at = 0; at < 5; at += 1) ids.push(await send([blocking('left'), blocking('right')]))

    for (const id of ids) {
      const both = await Promise.all([take('left'), take('right')])
      expect(both.map((step) => step?.file.id)).toEqual([id, id])
      await Promise.all(both.map((step) => endStep(database, step!, { outcome: 'pass' }, { now: now(), random: 0 })))
      expect((await seen(id)).content).toBe('live')
    }
  })

  it('is given to the step with its bytes', async () => {
    const id = await send([blocking('look')])
    const found: unknown[] = []

    await open([
      stepThat('look', async ({ file, read }) => {
        for await (const chunk of read()) found.push(file, chunk.toString())
        return { outcome: 'pass', result: { looked: true } }
      }),
    ]).run()

    expect(found).toEqual([
      expect.objectContaining({ id, size: 5, name: 'a.txt', ownerId: 'ada', contentType: 'text/plain' }),
      'bytes',
    ])
    expect(await query('select result, attempts from steps where content_id = $1', [id])).toEqual([
      { result: { looked: true }, attempts: 1 },
    ])
  })
})

describe('a step that does not pass', () => {
  it('holds the file for a person to decide', async () => {
    const id = await send([blocking('one')])

    await open([stepThat('one', async () => ({ outcome: 'hold', reason: 'too large' }))]).run()

    expect(await seen(id)).toMatchObject({ content: 'held', steps: { one: 'done' } })
    expect(await query('select outcome, reason from steps where content_id = $1', [id])).toEqual([
      { outcome: 'hold', reason: 'too large' },
    ])
  })

  it('quarantines the file it rejects, skips what else would follow, and says so once', async () => {
    const id = await send([blocking('one'), blocking('two')])

    await open([stepThat('one', async () => ({ outcome: 'reject', reason: 'Eicar' })), stepThat('two', pass)]).run()

    expect(await seen(id)).toEqual({
      content: 'quarantined',
      steps: { one: 'done', two: 'skipped' },
      events: ['upload.created', 'upload.completed', 'file.quarantined'],
    })
  })

  it('never makes a rejected file live, also when another step passes afterwards', async () => {
    const id = await send([blocking('one'), blocking('two')])
    const [one, two] = [await take('one'), await take('two')]

    await endStep(database, one!, { outcome: 'reject', reason: 'Eicar' }, { now: now(), random: 0 })
    await endStep(database, two!, { outcome: 'pass' }, { now: now(), random: 0 })

    expect(await seen(id)).toMatchObject({ content: 'quarantined', steps: { one: 'done', two: 'done' } })
  })

  it('is tried eight times at growing intervals, and is dead then', async () => {
    const id = await send([blocking('one')])
    let runs = 0
    const worker = open([
      stepThat('one', async () => {
        runs += 1
        return { outcome: 'fail', reason: 'away', canRetry: true }
      }),
    ])

    const waits: number[] = []
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      await worker.run()
      expect(runs).toBe(attempt)
      const [row] = await query<{ next_at: Date }>('select next_at from steps where content_id = $1', [id])
      waits.push((row!.next_at.getTime() - time) / 1000)
      // A moment before it is due, nothing happens.
      time = row!.next_at.getTime() - 1
      await worker.run()
      time += 1
    }

    expect(runs).toBe(8)
    expect(waits.slice(0, 7)).toEqual([5, 15, 45, 135, 405, 1215, 3645])
    expect(await seen(id)).toMatchObject({ content: 'held', steps: { one: 'dead' } })
  })

  it('is tried again a fifth earlier or later', () => {
    expect([retryDelayMs(1, 0), retryDelayMs(1, 1), retryDelayMs(3, 0.5)]).toEqual([4000, 6000, 45_000])
  })

  it('is not tried again when that would not help', async () => {
    const id = await send([blocking('one')])

    await open([stepThat('one', async () => ({ outcome: 'fail', reason: 'never', canRetry: false }))]).run()

    expect(await seen(id)).toMatchObject({ content: 'held', steps: { one: 'failed' } })
  })

  it('fails with the error that it throws, which is reported and not told', async () => {
    const id = await send([blocking('one')])
    const worker = open([
      stepThat('one', async () => {
        throw new Error('a secret')
      }),
    ])

    await worker.run()

    expect(worker.errors).toEqual([new Error('a secret')])
    const [row] = await query<{ reason: string }>('select reason, state from steps where content_id = $1', [id])
    expect(row).toEqual({ state: 'waiting', reason: 'the step ended with an error' })
  })

  it('fails when it takes too long, even if it ignores the signal', async () => {
    const id = await send([blocking('one')])

    await open([stepThat('one', () => new Promise(() => {}), { timeoutMs: 20 })]).run()

    expect(await query('select state, reason from steps where content_id = $1', [id])).toEqual([
      { state: 'waiting', reason: 'the step took too long' },
    ])
  })
})

describe('the order of steps', () => {
  it('is by priority: fresh uploads first', async () => {
    const ids = [await send([blocking('one')]), await send([blocking('one')]), await send([blocking('one')])]
    await query('update steps set priority = 0 where content_id = $1', [ids[0]])
    await query('update steps set priority = 80 where content_id = $1', [ids[1]])
    const order: string[] = []

    await open([stepThat('one', noting(order))]).run()

    expect(order).toEqual([ids[2], ids[1], ids[0]])
  })

  it('gives one of ten turns to the step that waits longest', async () => {
    const oldest = await send([blocking('one')])
    await query('update steps set priority = 0 where content_id = $1', [oldest])
    for (let at = 0; at < 15; at += 1) await send([blocking('one')])
    const order: string[] = []

    await open([stepThat('one', noting(order))]).run()

    expect(order.indexOf(oldest)).toBe(9)
  })

  it('gives each step to one of many workers', async () => {
    const ids = []
    for (let at = 0; at < 12; at += 1) ids.push(await send([blocking('one')]))
    const runs: string[] = []
    const step = stepThat('one', noting(runs))

    await Promise.all([1, 2, 3, 4].map(() => open([step], { slots: 2 }).run()))

    expect(runs.toSorted()).toEqual(ids.toSorted())
  })

  it('leaves steps alone that this server does not know', async () => {
    const id = await send([blocking('of-a-newer-server')])

    await open([stepThat('one', pass)]).run()

    expect(await seen(id)).toMatchObject({ content: 'held', steps: { 'of-a-newer-server': 'waiting' } })
  })
})

describe('the lease of a step', () => {
  it('keeps others away until it runs out; then the step is taken again', async () => {
    await send([blocking('one')])
    const first = await take('one')
    time += minute
    await recoverSteps(database, now())
    expect(await take('one')).toBeNull()

    time += 1
    await recoverSteps(database, now())

    expect(await take('one')).toMatchObject({ id: first!.id, attempt: 2 })
  })

  it('is renewed while the step runs', async () => {
    const id = await send([blocking('one')])
    const end = Promise.withResolvers<Ending>()
    const begun = Promise.withResolvers<void>()
    const worker = open([stepThat('one', beginning(begun, end.promise))], { leaseMs: 30 })
    worker.wake()
    await begun.promise
    time += minute

    await expect
      .poll(() => query('select from steps where content_id = $1 and lease_until > $2', [id, now()]))
      .toHaveLength(1)

    end.resolve({ outcome: 'pass' })
    await worker.idle()
    expect((await seen(id)).content).toBe('live')
  })

  it('is fenced: a worker whose lease ran out writes nothing', async () => {
    const id = await send([blocking('one')])
    const lost = await take('one')
    time += minute + 1
    await recoverSteps(database, now())
    const holder = await take('one')

    const late = await endStep(database, lost!, { outcome: 'pass' }, { now: now(), random: 0 })

    expect(late).toBe(false)
    expect(await renewStep(database, lost!, now())).toBe(false)
    expect(await seen(id)).toMatchObject({ content: 'held', steps: { one: 'running' } })
    expect(await endStep(database, holder!, { outcome: 'pass' }, { now: now(), random: 0 })).toBe(true)
    expect((await seen(id)).content).toBe('live')
  })

  it('aborts the step when another worker has taken it', async () => {
    const id = await send([blocking('one')])
    const signals: AbortSignal[] = []
    const begun = Promise.withResolvers<void>()
    const run: Step['run'] = ({ signal }) => {
      signals.push(signal)
      begun.resolve()
      return new Promise(() => {})
    }
    const worker = open([stepThat('one', run)], { leaseMs: 30 })
    worker.wake()
    await begun.promise

    await query(`update steps set lease_token = $2 where content_id = $1`, [id, randomUUID()])
    await worker.idle()

    expect(signals[0]!.aborted).toBe(true)
    expect(await seen(id)).toMatchObject({ content: 'held', steps: { one: 'running' } })
  })

  it('is given back by a worker that closes, and costs no attempt', async () => {
    const id = await send([blocking('one')])
    const begun = Promise.withResolvers<void>()
    const worker = open([stepThat('one', beginning(begun, new Promise(() => {})))])
    worker.wake()
    await begun.promise

    await worker.close()

    expect(await query('select state, attempts, crashes from steps where content_id = $1', [id])).toEqual([
      { state: 'waiting', attempts: 0, crashes: 0 },
    ])
  })

  it('runs out three times at most: then the step is dead and blocks no worker', async () => {
    const id = await send([blocking('poison')])
    for (let crash = 1; crash <= 3; crash += 1) {
      expect(await take('poison')).not.toBeNull()
      time += minute + 1
      await recoverSteps(database, now())
    }

    expect(await take('poison')).toBeNull()
    expect(await seen(id)).toMatchObject({ content: 'held', steps: { poison: 'dead' } })
  })
})

it('tells nothing of a file that was deleted before its steps ended', async () => {
  const { engine } = await openEngine({ newSteps: () => [blocking('one')], now, deleteGraceMs: minute })
  const { id } = await engine.create(ada, { size: 5, filename: 'a.txt', contentType: 'text/plain' })
  await engine.append(ada, id, { offset: 0, body: bodyOf(Buffer.from('bytes')), bodySize: 5, ending: 'at-size' })
  await engine.cancel(ada, id)

  await open([stepThat('one', pass)]).run()

  expect(await seen(id)).toMatchObject({
    content: 'live',
    events: ['upload.created', 'upload.completed', 'upload.cancelled'],
  })
})
