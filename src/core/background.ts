import type { Facts } from './errors/error.ts'

/** Work that no request waits for; closing the engine does. */
export interface BackgroundTasks {
  runDetached(work: Promise<unknown>, facts: Facts): void
  /** Resolves when no work is running. */
  drained(): Promise<void>
}

/** Tracks detached work and passes its errors to `onError`. */
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
