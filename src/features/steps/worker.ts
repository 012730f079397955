/*
 * A worker runs the steps that are due, a few at once. Rows say what is to do: a wake-up that is lost delays a step until the next poll,
 * and a worker that dies leaves a lease that runs out.
 */
import { randomUUID } from 'node:crypto'
import type { Database } from '../../db/open.ts'
import { endStep, giveStepBack, recoverSteps, renewStep, type TakenStep, takeStep } from './rows.ts'
import type { Ending, Step } from './step.ts'

export interface WorkerOptions {
  database: Database
  steps: Step[]
  read(key: string): AsyncIterable<Buffer>
  now(): Date
  onError(error: unknown): void
  /** How many steps run at once. */
  slots?: number
  /** How long a step stays with a worker that died. */
  leaseMs?: number
  /** From 0 to 1. */
  random?(): number
}

export interface Worker {
  /** Looks for steps that are due. */
  wake(): void
  /** Takes back the steps of workers that died. */
  recover(): Promise<void>
  /** Resolves when no step is due and none runs here. */
  idle(): Promise<void>
  /** Takes no more, aborts those that run, and gives them back. */
  close(): Promise<void>
  running(): number
}

// Of so many steps one is that which has waited longest, so that fresh uploads never keep older work waiting for ever.
const oldestEvery = 10
const maxSaves = 6

export function createWorker(options: WorkerOptions): Worker {
  const { database, steps, read, now, onError, slots = 2, leaseMs = 60_000, random = Math.random } = options
  const byName = new Map(steps.map((step) => [step.name, step]))
  const stopping = new AbortController()
  const active = new Set<Promise<void>>()
  let running = 0
  let looked = 0
  // A wake-up while every slot is busy must be followed by one more look at the rows.
  let isMissed = false

  const leaseUntil = () => new Date(now().getTime() + leaseMs)

  async function work(): Promise<void> {
    do {
      isMissed = false
      for (let step = await take(); step !== null; step = await take()) {
        // There may be more: another slot looks.
        wake()
        running += 1
        await run(step).finally(() => (running -= 1))
      }
    } while (isMissed && !stopping.signal.aborted)
  }

  async function take(): Promise<TakenStep | null> {
    if (stopping.signal.aborted) return null
    const isOldest = ++looked % oldestEvery === 0
    const names = [...byName.keys()]
    return takeStep(database, { names, now: now(), leaseUntil: leaseUntil(), token: randomUUID(), isOldest })
  }

  async function run(taken: TakenStep): Promise<void> {
    const step = byName.get(taken.name)!
    const lost = new AbortController()
    const late = AbortSignal.timeout(step.timeoutMs)
    const signal = AbortSignal.any([stopping.signal, lost.signal, late])
    const renewal = setInterval(() => {
      renewStep(database, taken, leaseUntil()).then((isOurs) => isOurs || lost.abort(), onError)
    }, leaseMs / 3)
    try {
      const ending = await endingOf(step, taken, signal)
      if (stopping.signal.aborted && ending.outcome === 'fail') return await giveStepBack(database, taken)
      await save(taken, ending, lost.signal)
    } finally {
      clearInterval(renewal)
    }
  }

  /** Tries again while the database is away: a lease that ran out would count as a crash of the step. */
  async function save(taken: TakenStep, ending: Ending, lost: AbortSignal): Promise<void> {
    for (let attempt = 1; !lost.aborted; attempt += 1) {
      try {
        await endStep(database, taken, ending, { now: now(), random: random() })
        return
      } catch (error) {
        if (attempt === maxSaves || stopping.signal.aborted) throw error
        await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt))
      }
    }
  }

  /** A step that ignores the signal is left behind; what it returns then is not used. */
  async function endingOf(step: Step, { file }: TakenStep, signal: AbortSignal): Promise<Ending> {
    const aborted = Promise.withResolvers<Ending>()
    const abort = () => aborted.resolve({ outcome: 'fail', reason: 'the step took too long', canRetry: true })
    signal.addEventListener('abort', abort, { once: true })
    try {
      return await Promise.race([aborted.promise, step.run({ file, read: () => read(file.key), signal })])
    } catch (error) {
      onError(error)
      return { outcome: 'fail', reason: 'the step ended with an error', canRetry: true }
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  function wake(): void {
    if (stopping.signal.aborted) return
    isMissed = true
    if (active.size >= slots) return
    const slot = work()
      .catch(onError)
      .finally(() => active.delete(slot))
    active.add(slot)
  }

  return {
    wake,
    async recover() {
      if ((await recoverSteps(database, now())) > 0) wake()
    },
    async idle() {
      while (active.size > 0) await Promise.all(active)
    },
    async close() {
      stopping.abort()
      await Promise.all(active)
    },
    running: () => running,
  }
}
