import { setTimeout as sleep } from 'node:timers/promises'

// Long enough that a test fails only when the code hangs, not when the machine is busy.
const defaultMs = 60_000

/**
 * Calls `condition` repeatedly and resolves to its first truthy result. A test waits with it for an event elsewhere, instead of for a
 * fixed time.
 * @param withinMs the timeout; a minute by default
 * @throws Error at the timeout
 */
export async function until<T>(condition: () => T | Promise<T>, withinMs = defaultMs): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const result = await condition()
    if (result) return result
    if (performance.now() > deadline) throw new Error(`not true within ${withinMs} ms: ${condition}`)
    await sleep(5)
  }
}

/**
 * Repeats `work` until it succeeds, and resolves to its result.
 * @throws its last error after a minute
 */
export async function untilDone<T>(work: () => T | Promise<T>): Promise<T> {
  const deadline = performance.now() + defaultMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await sleep(5)
  }
}
