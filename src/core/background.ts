import type { Facts } from './errors.ts'

/** Work beside the answers, which nobody waits for but who closes the engine. */
export interface Background {
  later(work: Promise<unknown>, facts: Facts): void
  /** Resolves when nothing runs any more. */
  idle(): Promise<void>
}

/** Keeps account of what runs; what fails of it, `onFault` is told. */
export function createBackground(onFault: (error: unknown, facts: Facts) => void): Background {
  const running = new Set<Promise<unknown>>()
  return {
    later(work, facts) {
      const tracked = work.catch((error: unknown) => onFault(error, facts)).finally(() => running.delete(tracked))
      running.add(tracked)
    },
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
