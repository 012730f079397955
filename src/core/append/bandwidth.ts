/*
 * How fast bodies are read: so many bytes a second of one user, and so many of all users of this server together.
 *
 * Bytes are counted when they have come, so a body is never cut; it is what comes next that waits. A user whose bodies took
 * more than was due is in debt, and none of their bodies is read until it is paid. There are two accounts. The user's own cap
 * pays into the first one as time passes. Into the second one goes what all may take together: as soon as anybody has to wait,
 * every moment's worth is shared equally among the users who send, however many bodies each of them has. Whoever has saved
 * up enough for a moment leaves the rest to the others.
 */

/** One body's part in it. */
export interface Pace {
  /** Counts bytes that came. A promise asks to read nothing more until it resolves; 0 bytes ask whether one may begin. */
  spend(bytes: number): Promise<void> | null
  /** The body has ended; who waited no longer does. */
  leave(): void
}

export interface Bandwidth {
  /** A body of `user`, who has `perSecond` bytes from now on; `null`: any number. `null` when nothing holds the body back. */
  join(user: string, perSecond: number | null): Pace | null
}

/** One user. What is owed is above zero, what is saved up below. */
interface Lane {
  perSecond: number
  /** Of the user's own cap, at `ownAt`. */
  own: number
  ownAt: number
  /** Of what all may take. */
  shared: number
  bodies: number
  waiting: Set<() => void>
}

const tickMs = 20
// What may be saved up; more would be a burst, less would make bodies stop although there is room.
const savedSeconds = 0.1
const usualChunk = 64 * 1024
const manyLanes = 1000

/** A bandwidth of `limit` bytes a second for all together; `null`: any number. */
export function createBandwidth(limit: number | null): Bandwidth {
  const perSecond = limit ?? Number.POSITIVE_INFINITY
  const lanes = new Map<string, Lane>()
  const waiting = new Set<Lane>()
  /** Who sends, or owes something. */
  const active = new Set<Lane>()
  let saved = limit === null ? 0 : limit * savedSeconds
  let savedAt = performance.now()
  let timer: NodeJS.Timeout | null = null

  /** What passed since the last look, as bytes that all may take. */
  function save(now: number) {
    if (limit === null) return
    saved = Math.min(saved + ((now - savedAt) / 1000) * perSecond, perSecond * savedSeconds)
    savedAt = now
  }

  function payOwn(lane: Lane, now: number) {
    if (lane.perSecond === Number.POSITIVE_INFINITY) lane.own = 0
    else lane.own = Math.max(lane.own - ((now - lane.ownAt) / 1000) * lane.perSecond, -lane.perSecond * savedSeconds)
    lane.ownAt = now
  }

  /** Shares what there is equally; who needs less than their share leaves the rest to the others. */
  function share() {
    const needy = new Set(active)
    const most = Math.max(usualChunk, (perSecond * savedSeconds) / needy.size)
    while (saved > 1 && needy.size > 0) {
      const each = saved / needy.size
      for (const lane of needy) {
        const payment = Math.max(0, Math.min(each, lane.shared + most))
        lane.shared -= payment
        saved -= payment
        if (payment < each) needy.delete(lane)
        if (lane.bodies === 0 && lane.shared <= 0) active.delete(lane)
      }
    }
  }

  function tick() {
    const now = performance.now()
    save(now)
    if (limit !== null) share()
    for (const lane of waiting) {
      payOwn(lane, now)
      if (lane.own <= 0 && lane.shared <= 0) wake(lane)
    }
    if (waiting.size > 0) return
    clearInterval(timer!)
    timer = null
  }

  /** Each of them will bring about one chunk: waking all at once would be a burst of as many. */
  function wake(lane: Lane) {
    let room = Math.max(usualChunk, Math.min(lane.perSecond, perSecond) * savedSeconds)
    for (const resume of lane.waiting) {
      if (room <= 0) return
      room -= usualChunk
      lane.waiting.delete(resume)
      resume()
    }
    waiting.delete(lane)
  }

  function laneOf(user: string): Lane {
    const known = lanes.get(user)
    if (known) return known
    if (lanes.size >= manyLanes) forgetPaid()
    const lane: Lane = {
      perSecond: Number.POSITIVE_INFINITY,
      own: 0,
      ownAt: performance.now(),
      shared: 0,
      bodies: 0,
      waiting: new Set(),
    }
    lanes.set(user, lane)
    return lane
  }

  /** A debt outlives its bodies: who sends many short ones would have no cap otherwise. */
  function forgetPaid() {
    const now = performance.now()
    for (const [user, lane] of lanes) {
      payOwn(lane, now)
      if (lane.bodies === 0 && lane.own <= 0 && lane.shared <= 0) lanes.delete(user)
    }
  }

  return {
    join(user, ownPerSecond) {
      if (limit === null && ownPerSecond === null && !lanes.has(user)) return null
      const lane = laneOf(user)
      payOwn(lane, performance.now())
      lane.perSecond = ownPerSecond ?? Number.POSITIVE_INFINITY
      lane.bodies += 1
      let resume: (() => void) | null = null
      return {
        spend(bytes) {
          const now = performance.now()
          payOwn(lane, now)
          if (lane.perSecond !== Number.POSITIVE_INFINITY) lane.own += bytes
          if (limit !== null) {
            save(now)
            lane.shared += bytes
            active.add(lane)
            // Nobody waits for what is saved up: no need to wait for the next moment.
            if (waiting.size === 0 && lane.shared > 0 && lane.shared <= saved) {
              saved -= lane.shared
              lane.shared = 0
            }
          }
          if (lane.own <= 0 && lane.shared <= 0 && lane.waiting.size === 0) return null
          timer ??= setInterval(tick, tickMs)
          waiting.add(lane)
          return new Promise((resolve) => {
            resume = resolve
            lane.waiting.add(resolve)
          })
        },
        leave() {
          lane.bodies -= 1
          if (lane.bodies === 0 && lane.shared <= 0) active.delete(lane)
          if (resume && lane.waiting.delete(resume)) resume()
          if (lane.waiting.size === 0) waiting.delete(lane)
        },
      }
    },
  }
}
