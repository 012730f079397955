import { within } from '../../core/within.ts'
import type { Database } from '../../db/open.ts'
import { recordFailure, recordSuccess, releaseDelivery, type TakenDelivery, takeDeliveries } from './delivery-rows.ts'
import { messageOf } from './message.ts'
import { retryAfterMs, waitAfter } from './schedule.ts'
import type { Outcome, Send } from './send.ts'

export interface WorkerOptions {
  database: Database
  send: Send
  now(): Date
  /** From 0 to 1. */
  random?(): number
  /** Called after each attempt that was recorded. */
  onAttempt(attempt: Attempt): void
  onError(error: unknown): void
}

/** What an attempt did, for logs and metrics. */
export interface Attempt {
  delivery: TakenDelivery
  result: 'delivered' | 'failed' | 'dead'
  outcome: Outcome
  /** What became of the endpoint by it. */
  endpoint: 'recovered' | 'failing' | 'paused' | null
}

/** The most deliveries that one server sends at once. */
const atOnce = 32
// Attempts that have not ended this long after `close` are broken off.
const closeMs = 5000

/** Sends the deliveries that are due. Every server has a worker; a row says which of them sends it. */
export class DeliveryWorker {
  readonly #options: WorkerOptions
  readonly #sending = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #round: Promise<number> | null = null
  /** Tells the round that is running to look for due deliveries again. */
  #change = () => {}
  #isClosed = false

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  /** Sends what is due, also while earlier deliveries are still being sent. */
  wake(): void {
    if (this.#isClosed) return
    if (this.#round) this.#change()
    else void this.deliver().catch(this.#options.onError)
  }

  /** Sends what is due, and what becomes due by that. @returns how many attempts it made */
  deliver(): Promise<number> {
    this.#round ??= this.#sendAll().finally(() => {
      this.#round = null
    })
    return this.#round
  }

  /** Takes no more deliveries, and waits `graceMs` for the attempts that are running; those that last are broken off and given back. */
  async close(graceMs = closeMs): Promise<void> {
    this.#isClosed = true
    this.#change()
    await within(Promise.all(this.#sending), graceMs)
    this.#stop.abort()
    await Promise.all(this.#sending)
    await this.#round?.catch(() => {})
  }

  async #sendAll(): Promise<number> {
    const { database, now, onError } = this.#options
    let count = 0
    for (;;) {
      // What ends or is added while the rows are read may have made others due that this reading did not see.
      let hasChanged = false
      const changed = new Promise<void>((resolve) => {
        this.#change = () => {
          hasChanged = true
          resolve()
        }
      })
      const free = this.#isClosed ? 0 : atOnce - this.#sending.size
      const taken = free === 0 ? [] : await takeDeliveries(database, now(), free)
      count += taken.length
      for (const delivery of taken) {
        const attempt = this.#attempt(delivery)
          .catch(onError)
          .finally(() => {
            this.#sending.delete(attempt)
            this.#change()
          })
        this.#sending.add(attempt)
      }
      if (hasChanged && !this.#isClosed) continue
      if (this.#sending.size === 0) return count
      await changed
    }
  }

  /** One attempt. When its result cannot be recorded, the lease runs out and the event is sent once more. */
  async #attempt(delivery: TakenDelivery): Promise<void> {
    const { database, send, now, onAttempt } = this.#options
    const outcome = await send(messageOf(delivery, now()), this.#stop.signal)
    const at = now()
    if (outcome.result === 'aborted') return releaseDelivery(database, delivery, at)
    if (outcome.result === 'answered' && outcome.status >= 200 && outcome.status < 300) {
      const isRecovered = await recordSuccess(database, delivery, { at, status: outcome.status, ms: outcome.ms })
      return onAttempt({ delivery, result: 'delivered', outcome, endpoint: isRecovered ? 'recovered' : null })
    }
    const failed = this.#failureOf(delivery, outcome, at)
    const endpoint = await recordFailure(database, delivery, at, failed)
    onAttempt({ delivery, result: failed.nextAt === null ? 'dead' : 'failed', outcome, endpoint })
  }

  #failureOf({ attempts }: TakenDelivery, outcome: Outcome, at: Date) {
    const isGone = outcome.status === 410
    const asked = outcome.result === 'answered' ? retryAfterMs(outcome.retryAfter, at) : null
    const wait = waitAfter(attempts, (this.#options.random ?? Math.random)())
    const after = (ms: number) => new Date(at.getTime() + ms)
    // The delivery that an endpoint answers with 410 is sent first when its owner switches the endpoint on again.
    const nextAt = isGone ? at : wait === null ? null : after(Math.max(wait, asked ?? 0))
    return {
      nextAt,
      status: outcome.status,
      error: outcome.result === 'answered' ? null : outcome.result,
      ms: outcome.ms,
      holdUntil: asked === null || !(outcome.status === 429 || outcome.status === 503) ? null : after(asked),
      isGone,
    }
  }
}
