/*
 * Turns at something that only a few can use at once, such as the connections to the database. While all are in use, users take turns, so
 * a user with one request waits for at most one turn of each other user, however many requests those have. Work that belongs to no user,
 * such as jobs and renewals of leases, has turns like one user more.
 *
 * The user of a piece of work is part of its asynchronous context. It follows the work through promises and timers, but not into the
 * events of a socket, which belong to the connection: listeners that work for a request are bound with `AsyncLocalStorage.bind`.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

const userOfWork = new AsyncLocalStorage<string>()
const noUser = ''

/** Runs `work`, and everything it starts, for `user`: a key such as that of `ownerKey`. */
export function workFor<T>(user: string, work: () => T): T {
  return userOfWork.run(user, work)
}

/** Runs `work` for no user, such as a read whose result the requests of many users wait for. */
export function workForAll<T>(work: () => T): T {
  return userOfWork.run(noUser, work)
}

/** The user whose work this is; `null`: it belongs to no user. */
export function currentUser(): string | null {
  return userOfWork.getStore() || null
}

export interface Turns {
  /** Begins a turn: at once, or when earlier ones have ended. Rejects when that takes too long. */
  begin(): Promise<void>
  /** Ends a turn that has begun. */
  end(): void
  /** How many wait for a turn. */
  waiting(): number
}

interface Waiting {
  start(): void
}

/** Creates turns of which at most `most` run at once. One that has not begun after `timeoutMs` rejects with `timeout()`. */
export function createTurns(most: number, timeoutMs: number, timeout: () => Error): Turns {
  /** Those who wait, by user. The user whose turn is next is the first: a `Map` keeps the order of insertion. */
  const queues = new Map<string, Set<Waiting>>()
  let running = 0
  let waiting = 0

  function enter(user: string, entry: Waiting): void {
    const queue = queues.get(user) ?? new Set()
    queues.set(user, queue.add(entry))
    waiting += 1
  }

  function leave(user: string, entry: Waiting): void {
    const queue = queues.get(user)
    if (!queue?.delete(entry)) return
    waiting -= 1
    if (queue.size === 0) queues.delete(user)
  }

  function startNext(): void {
    for (const [user, queue] of queues) {
      if (running >= most) return
      const [entry] = queue
      leave(user, entry!)
      // The user's next turn comes after those of all others.
      if (queues.delete(user)) queues.set(user, queue)
      running += 1
      entry!.start()
    }
  }

  return {
    async begin() {
      if (running < most) {
        running += 1
        return
      }
      const user = userOfWork.getStore() ?? noUser
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          leave(user, entry)
          reject(timeout())
        }, timeoutMs)
        timer.unref()
        const entry: Waiting = {
          start() {
            clearTimeout(timer)
            resolve()
          },
        }
        enter(user, entry)
      })
    },
    end() {
      running -= 1
      startNext()
    },
    waiting: () => waiting,
  }
}
