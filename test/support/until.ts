import { setTimeout as sleep } from 'node:timers/promises'

// What hangs fails; what is slow because the machine is busy does not.
const longestMs = 60_000

/**
 * Asks again and again, and resolves to the first answer of `ask` that is neither false nor nothing. A test waits with it for what
 * happens elsewhere, instead of for a time in which it should have happened.
 * @throws Error after a minute
 */
export async function until<T>(ask: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = performance.now() + longestMs
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (performance.now() > deadline) throw new Error(`Not so within ${longestMs} ms: ${ask}`)
    await sleep(5)
  }
}
