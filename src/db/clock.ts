/*
 * The database's clock, as this process knows it. Every server and every statement goes by the same time then, whatever the clocks of
 * the machines say: a node whose clock is days ahead would otherwise expire everybody's uploads.
 *
 * It is measured now and then, with half of the round trip added, and carried on by the monotonic clock of this process: neither a
 * wrong wall clock nor one that is set meanwhile moves it.
 */
import { NotReady } from '../core/errors/error.ts'
import type { Database } from './open.ts'

export interface DatabaseClock {
  /** The database's time. */
  now(): Date
  /** Measures it anew. @throws UploadError DATABASE_ERROR */
  refresh(): Promise<void>
  /** Milliseconds by which this machine's own clock is ahead of the database's. */
  skewMs(): number
  /** @throws NotReady when this machine's clock differs by more than a few seconds */
  check(): Promise<void>
  close(): void
}

export interface ClockOptions {
  database: Pick<Database, 'query'>
  /** This machine's own clock, in milliseconds. */
  wallMs?: (() => number) | undefined
  /** Milliseconds since some moment, by a clock that is never set. */
  elapsedMs?: () => number
  /** Told once when the clock of this machine is wrong (a sentence), and once when it is right again (`null`). */
  onSkew(trouble: string | null): void
  onError(error: unknown): void
}

/** Milliseconds; half a round trip is added, because the sample may be so much off. */
const tolerance = 5000
const everyMs = 20_000
const worstHalfTrip = 1000
const ask = { name: 'clock', text: `select extract(epoch from clock_timestamp())::float8 * 1000 as ms` }

/**
 * A clock that has been measured once when this resolves.
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
  let trouble: string | null = null

  async function refresh(): Promise<void> {
    const startedAt = elapsedMs()
    const [row] = await database.query<{ ms: number }>(ask, [])
    const endedAt = elapsedMs()
    const halfTrip = (endedAt - startedAt) / 2
    // A statement that had to wait tells less than what is known already.
    if (measuredAt !== null && halfTrip > worstHalfTrip) return
    atMs = row!.ms + halfTrip
    measuredAt = endedAt
    skew = wallMs() - atMs
    const next = Math.abs(skew) > tolerance + halfTrip ? describe(skew) : null
    if ((next === null) !== (trouble === null)) onSkew(next)
    trouble = next
  }

  await refresh()
  const timer = setInterval(() => void refresh().catch(onError), everyMs)
  timer.unref()
  return {
    now: () => new Date(atMs + elapsedMs() - measuredAt!),
    refresh,
    skewMs: () => skew,
    async check() {
      if (trouble === null) return
      // It may have been set right since.
      await refresh()
      if (trouble !== null) throw new NotReady(trouble)
    },
    close: () => clearInterval(timer),
  }
}

function describe(skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  const way = skewMs > 0 ? 'ahead of' : 'behind'
  return `this server's clock is ${seconds} s ${way} the database's; set it by NTP`
}
