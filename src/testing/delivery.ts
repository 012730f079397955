import type { Listener } from '../jobs/outbox.ts'
import type { MemoryEvent } from './uploads/rows.ts'

/** Gives events to a listener, one after another and at least once. */
export interface Delivery {
  add(event: MemoryEvent): void
  /** Delivers what waits, also what the listener has rejected before. */
  deliver(): Promise<void>
}

/** An event that `listener` rejects waits for the next delivery, and the error goes to `onError`. */
export function createDelivery(listener: Listener | undefined, onError: (error: unknown) => void): Delivery {
  let waiting: MemoryEvent[] = []
  let running = Promise.resolve()

  async function run(): Promise<void> {
    const due = waiting
    waiting = []
    for (const event of due)
      try {
        await listener?.(event)
      } catch (error) {
        waiting.push(event)
        onError(error)
      }
  }

  function deliver(): Promise<void> {
    running = running.then(run)
    return running
  }

  return {
    add(event) {
      waiting.push(event)
      void deliver()
    },
    deliver,
  }
}
