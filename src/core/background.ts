import type { Facts } from './errors/error.ts'

/** Work beside the answers, which nobody waits for but who closes the engine. */
export interface BackgroundTasks {
  runDetached(work: Promise<unknown>, facts: Facts): void
  /** Resolves when nothing runs any more. */
  drained(): Promise<void>
}

/** Keeps account of what runs; what fails of it, `onFault` is told. */
export function createBackgroundTasks(onError: (error: unknown, facts: Facts) => void): BackgroundTasks {
  const running = new Set<Promise<unknown>>()
  return {
    runDetached(work, facts) {
      const tracked = work.catch((error: unknown) => onError(error, facts)).finally(() => running.delete(tracked))
      running.add(tracked)
    },
    async drained() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
