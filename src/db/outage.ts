/*
 * One word when the database is lost and one when it is back. Every error of the database is noticed here, where it arises: of a
 * connection, a statement, the listener. An error alone is no outage, because a connection may break while the next one works; so
 * the database is asked, and is lost when it does not answer. Those who report errors leave out the ones that `isOutage` knows.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { isOutage, reasonOf } from './errors.ts'

export type Outage = { state: 'lost'; reason: string } | { state: 'restored'; afterMs: number }

export interface OutageOptions {
  /** Rejects while the database cannot be used. */
  probe(): Promise<void>
  report(outage: Outage): void
  /** Milliseconds between two probes. */
  everyMs?: number
}

export interface OutageWatch {
  /** Told of every error; those that are no outage are none of its business. */
  notice(error: unknown): void
  /** Told why a lost database does not come back; it is passed on once. */
  explain(reason: string): void
  close(): void
}

/** Watches one database. Nothing is told unless something goes wrong. */
export function watchOutage({ probe, report, everyMs = 500 }: OutageOptions): OutageWatch {
  let watching: Promise<void> | null = null
  let isClosed = false
  const told = new Set<string>()

  async function watch(): Promise<void> {
    const lostAt = performance.now()
    let isLost = false
    while (!isClosed) {
      try {
        await probe()
        if (isLost) report({ state: 'restored', afterMs: Math.round(performance.now() - lostAt) })
        told.clear()
        return
      } catch (error) {
        if (!isLost && !isClosed) report({ state: 'lost', reason: reasonOf(error) })
        isLost = true
      }
      await pause(everyMs, undefined, { ref: false })
    }
  }

  return {
    notice(error) {
      if (isClosed || watching || !isOutage(error)) return
      watching = watch().finally(() => {
        watching = null
      })
    },
    explain(reason) {
      if (isClosed || told.has(reason)) return
      told.add(reason)
      report({ state: 'lost', reason })
    },
    close() {
      isClosed = true
    },
  }
}
