import { setTimeout as sleep } from 'node:timers/promises'

// What hangs fails; what is slow because the machine is busy does not.
const usuallyMs = 60_000

/**
 * Asks again and again, and resolves to the first answer of `ask` that is neither false nor nothing. A test waits with it for what
 * happens elsewhere, instead of for a time in which it should have happened.
 * @param withinMs a cap for what hangs; a minute unless told
 * @throws Error when it is not so by then
 */
export async function until<T>(ask: () => T | Promise<T>, withinMs = usuallyMs): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (performance.now() > deadline) throw new Error(`Not so within ${withinMs} ms: ${ask}`)
    await sleep(5)
  }
}

/**
 * Does `work` again and again until it succeeds, and resolves to what it resolves to.
 * @throws what it throws after a minute
 */
export async function untilDone<T>(work: () => T | Promise<T>): Promise<T> {
  const deadline = performance.now() + usuallyMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await sleep(5)
  }
}
