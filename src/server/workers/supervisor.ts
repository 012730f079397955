/*
 * Decides when the workers of a server start, and when the server ends. It has no processes, timers or signals of its own: `primary.ts`
 * reports what happens and carries out what is decided.
 *
 * A worker is starting, then listening. The first one starts alone, so that a setting, a port or a migration that fails does so once; the
 * others start when it listens. A worker that ends is started again: at once, and each time it does not last a minute after a longer pause.
 * While one worker is away the others take all connections.
 *
 * The server ends when it is stopped, when its first worker cannot start, or when one worker has failed to start too many times in a row:
 * then something is wrong that no further start repairs, and the manager of services has to learn of it.
 */

/** How a worker ended. */
export interface Ending {
  code: number | null
  signal: string | null
  /** Why it could not start, in one sentence, if it said so. */
  reason: string | null
  /** Milliseconds since it listened; `null`: it never did. */
  listenedMs: number | null
}

export type Command =
  /** `isFirst`: no worker of this server has listened yet. */
  | { do: 'start'; number: number; isFirst: boolean }
  /** Report `isDue` after `ms`. */
  | { do: 'wait'; number: number; ms: number }
  /** Let it save what its requests sent, and end. */
  | { do: 'stop'; number: number }
  | { do: 'kill'; number: number }
  /** All workers have ended. */
  | { do: 'exit'; code: 0 | 1; reason: string | null }

interface Worker {
  state: 'starting' | 'listening' | 'waiting'
  /** Ends in a row of which none came after a minute. */
  shortLives: number
  failedStarts: number
}

const longEnoughMs = 60_000
const firstPauseMs = 1000
const longestPauseMs = 30_000
/** Starts of one worker that fail in a row before the server ends. */
export const maxFailedStarts = 5

export class Supervisor {
  readonly #count: number
  readonly #workers = new Map<number, Worker>()
  #phase: 'starting' | 'running' | 'stopping' = 'starting'
  #code: 0 | 1 = 0
  #reason: string | null = null

  /** Supervises `count` workers, numbered from 1. */
  constructor(count: number) {
    this.#count = count
  }

  begin(): Command[] {
    return [this.#start(1)]
  }

  /** The worker answers requests. */
  listens(number: number): Command[] {
    const worker = this.#workers.get(number)!
    worker.state = 'listening'
    worker.failedStarts = 0
    if (this.#phase !== 'starting') return []
    this.#phase = 'running'
    return Array.from({ length: this.#count - 1 }, (_, at) => this.#start(at + 2))
  }

  ended(number: number, ending: Ending): Command[] {
    const worker = this.#workers.get(number)!
    if (this.#phase === 'stopping') return this.#leave(number, worker, ending)
    const hasListened = ending.listenedMs !== null
    if (!hasListened) worker.failedStarts += 1
    if (this.#phase === 'starting') return this.#fail(number, ending.reason ?? `its first process ${howOf(ending)}`)
    if (worker.failedStarts >= maxFailedStarts)
      return this.#fail(
        number,
        `worker ${number} could not start ${maxFailedStarts} times in a row: ${ending.reason ?? `it ${howOf(ending)}`}`,
      )
    const pauseMs = Math.min(longestPauseMs, worker.shortLives === 0 ? 0 : firstPauseMs * 2 ** (worker.shortLives - 1))
    worker.shortLives = hasListened && ending.listenedMs! >= longEnoughMs ? 0 : worker.shortLives + 1
    worker.state = 'waiting'
    return [{ do: 'wait', number, ms: pauseMs }]
  }

  /** The pause before a start is over. */
  isDue(number: number): Command[] {
    return this.#phase === 'running' && this.#workers.get(number)?.state === 'waiting' ? [this.#start(number)] : []
  }

  /** The server is to end: every worker saves what its requests sent. */
  stop(): Command[] {
    if (this.#phase === 'stopping') return []
    this.#phase = 'stopping'
    for (const [number, { state }] of this.#workers) if (state === 'waiting') this.#workers.delete(number)
    if (this.#workers.size === 0) return [this.#exit()]
    return [...this.#workers.keys()].map((number) => ({ do: 'stop', number }))
  }

  /** The server is to end now, whatever its workers do. */
  abandon(): Command[] {
    this.#phase = 'stopping'
    this.#code = 1
    return [...[...this.#workers.keys()].map((number): Command => ({ do: 'kill', number })), this.#exit()]
  }

  #start(number: number): Command {
    const { shortLives = 0, failedStarts = 0 } = this.#workers.get(number) ?? {}
    this.#workers.set(number, { state: 'starting', shortLives, failedStarts })
    return { do: 'start', number, isFirst: this.#phase === 'starting' }
  }

  #fail(number: number, reason: string): Command[] {
    this.#workers.delete(number)
    this.#code = 1
    this.#reason = reason
    return this.stop()
  }

  #leave(number: number, { state }: Worker, { code, signal }: Ending): Command[] {
    this.#workers.delete(number)
    // A worker that has not started yet does not handle the signal.
    const isStopped = code === 0 || (state === 'starting' && signal === 'SIGTERM')
    if (!isStopped) this.#code = 1
    return this.#workers.size === 0 ? [this.#exit()] : []
  }

  #exit(): Command {
    return { do: 'exit', code: this.#code, reason: this.#reason }
  }
}

function howOf({ code, signal }: Ending): string {
  return signal === null ? `ended with code ${code}` : `was ended by ${signal}`
}
