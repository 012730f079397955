/*
 * An estimate of the database's clock, so that every server and every statement use the same time. Otherwise a node whose clock is days
 * ahead would expire the uploads of all users.
 *
 * It is measured every 20 seconds, with half of the round trip added. Between measurements the monotonic clock of this process advances
 * it, so a wrong wall clock, or one that is set meanwhile, does not move it.
 */
import { NotReady } from '../core/errors/error.ts'
import type { Database } from './open.ts'

export interface DatabaseClock {
  /** The database's time. */
  now(): Date
  /** Measures it again. @throws UploadError DATABASE_ERROR */
  refresh(): Promise<void>
  /** Milliseconds by which this machine's clock is ahead of the database's. */
  skewMs(): number
  /** @throws NotReady when this machine's clock differs by more than a few seconds */
  check(): Promise<void>
  close(): void
}

export interface ClockOptions {
  database: Pick<Database, 'query'>
  /** This machine's own clock, in milliseconds. */
  wallMs?: (() => number) | undefined
  /** Milliseconds by a monotonic clock. */
  elapsedMs?: () => number
  /** Called once with a sentence when this machine's clock is wrong, and once with `null` when it is right again. */
  onSkew(problem: string | null): void
  onError(error: unknown): void
}

/** Half a round trip is added to it, because a measurement may be off by that much. */
const toleranceMs = 5000
const everyMs = 20_000
const maxHalfTripMs = 1000
const readClock = { name: 'clock', text: `select extract(epoch from clock_timestamp())::float8 * 1000 as ms` }

/**
 * Resolves to a clock that has been measured once.
 * @throws UploadError DATABASE_ERROR
 */
export async function openClock({
  database,
  wallMs = Date.now,
  elapsedMs = () => performance.now(),
  onSkew,
  onError,
}: ClockOptions): Promise<DatabaseClock> {
  let atMs = 0
  let measuredAt: number | null = null
  let skew = 0
  let problem: string | null = null

  async function refresh(): Promise<void> {
    const startedAt = elapsedMs()
    const [row] = await database.query<{ ms: number }>(readClock, [])
    const endedAt = elapsedMs()
    const halfTrip = (endedAt - startedAt) / 2
    // A measurement that had to wait is less accurate than the current estimate.
    if (measuredAt !== null && halfTrip > maxHalfTripMs) return
    atMs = row!.ms + halfTrip
    measuredAt = endedAt
    skew = wallMs() - atMs
    const next = Math.abs(skew) > toleranceMs + halfTrip ? describe(skew) : null
    if ((next === null) !== (problem === null)) onSkew(next)
    problem = next
  }

  await refresh()
  const timer = setInterval(() => void refresh().catch(onError), everyMs)
  timer.unref()
  return {
    now: () => new Date(atMs + elapsedMs() - measuredAt!),
    refresh,
    skewMs: () => skew,
    async check() {
      if (problem === null) return
      // The operator may have corrected the clock since.
      await refresh()
      if (problem !== null) throw new NotReady(problem)
    },
    close: () => clearInterval(timer),
  }
}

function describe(skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  const direction = skewMs > 0 ? 'ahead of' : 'behind'
  return `this server's clock is ${seconds} s ${direction} the database's; set it by NTP`
}
