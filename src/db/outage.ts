/*
 * Reports each outage of the database once, and once when it is over. Every error of a connection, a statement or the listener is
 * passed to `notice`. One error is no outage, because one connection may break while the next one works: the database is probed, and is
 * lost when the probe fails. Error reporters skip errors for which `isOutage` is true.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { workForAll } from '../core/turns.ts'
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
  /** Takes every error of the database and probes it after those that may be an outage. */
  notice(error: unknown): void
  /** Reports why a lost database does not come back; each reason once an outage. */
  explain(reason: string): void
  close(): void
}

/** Watches one database. It probes nothing until an error was noticed. */
export function watchOutage({ probe, report, everyMs = 500 }: OutageOptions): OutageWatch {
  let watching: Promise<void> | null = null
  let isClosed = false
  const reportedReasons = new Set<string>()

  async function watch(): Promise<void> {
    const lostAt = performance.now()
    let isLost = false
    while (!isClosed) {
      try {
        await probe()
        if (isLost) report({ state: 'restored', afterMs: Math.round(performance.now() - lostAt) })
        reportedReasons.clear()
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
      watching = workForAll(watch).finally(() => {
        watching = null
      })
    },
    explain(reason) {
      if (isClosed || reportedReasons.has(reason)) return
      reportedReasons.add(reason)
      report({ state: 'lost', reason })
    },
    close() {
      isClosed = true
    },
  }
}
