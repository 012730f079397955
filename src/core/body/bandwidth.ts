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
interface TokenBucket {
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
const burstSeconds = 0.1
const usualChunk = 64 * 1024
const maxIdleBuckets = 1000

/** A bandwidth of `limit` bytes a second for all together; `null`: any number. */
export function createBandwidth(limit: number | null): Bandwidth {
  const perSecond = limit ?? Number.POSITIVE_INFINITY
  const buckets = new Map<string, TokenBucket>()
  const waiting = new Set<TokenBucket>()
  /** Who sends, or owes something. */
  const active = new Set<TokenBucket>()
  let sharedTokens = limit === null ? 0 : limit * burstSeconds
  let refilledAt = performance.now()
  let timer: NodeJS.Timeout | null = null

  /** What passed since the last look, as bytes that all may take. */
  function refillShared(now: number) {
    if (limit === null) return
    sharedTokens = Math.min(sharedTokens + ((now - refilledAt) / 1000) * perSecond, perSecond * burstSeconds)
    refilledAt = now
  }

  function refillOwn(bucket: TokenBucket, now: number) {
    if (bucket.perSecond === Number.POSITIVE_INFINITY) bucket.own = 0
    else
      bucket.own = Math.max(
        bucket.own - ((now - bucket.ownAt) / 1000) * bucket.perSecond,
        -bucket.perSecond * burstSeconds,
      )
    bucket.ownAt = now
  }

  /** Shares what there is equally; who needs less than their share leaves the rest to the others. */
  function share() {
    const backlogged = new Set(active)
    const most = Math.max(usualChunk, (perSecond * burstSeconds) / backlogged.size)
    while (sharedTokens > 1 && backlogged.size > 0) {
      const each = sharedTokens / backlogged.size
      for (const bucket of backlogged) {
        const payment = Math.max(0, Math.min(each, bucket.shared + most))
        bucket.shared -= payment
        sharedTokens -= payment
        if (payment < each) backlogged.delete(bucket)
        if (bucket.bodies === 0 && bucket.shared <= 0) active.delete(bucket)
      }
    }
  }

  function tick() {
    const now = performance.now()
    refillShared(now)
    if (limit !== null) share()
    for (const bucket of waiting) {
      refillOwn(bucket, now)
      if (bucket.own <= 0 && bucket.shared <= 0) wake(bucket)
    }
    if (waiting.size > 0) return
    clearInterval(timer!)
    timer = null
  }

  /** Each of them will bring about one chunk: waking all at once would be a burst of as many. */
  function wake(bucket: TokenBucket) {
    let room = Math.max(usualChunk, Math.min(bucket.perSecond, perSecond) * burstSeconds)
    for (const resume of bucket.waiting) {
      if (room <= 0) return
      room -= usualChunk
      bucket.waiting.delete(resume)
      resume()
    }
    waiting.delete(bucket)
  }

  function bucketOf(user: string): TokenBucket {
    const known = buckets.get(user)
    if (known) return known
    if (buckets.size >= maxIdleBuckets) forgetIdle()
    const bucket: TokenBucket = {
      perSecond: Number.POSITIVE_INFINITY,
      own: 0,
      ownAt: performance.now(),
      shared: 0,
      bodies: 0,
      waiting: new Set(),
    }
    buckets.set(user, bucket)
    return bucket
  }

  /** A debt outlives its bodies: who sends many short ones would have no cap otherwise. */
  function forgetIdle() {
    const now = performance.now()
    for (const [user, bucket] of buckets) {
      refillOwn(bucket, now)
      if (bucket.bodies === 0 && bucket.own <= 0 && bucket.shared <= 0) buckets.delete(user)
    }
  }

  return {
    join(user, ownPerSecond) {
      if (limit === null && ownPerSecond === null && !buckets.has(user)) return null
      const bucket = bucketOf(user)
      refillOwn(bucket, performance.now())
      bucket.perSecond = ownPerSecond ?? Number.POSITIVE_INFINITY
      bucket.bodies += 1
      let resume: (() => void) | null = null
      return {
        spend(bytes) {
          const now = performance.now()
          refillOwn(bucket, now)
          if (bucket.perSecond !== Number.POSITIVE_INFINITY) bucket.own += bytes
          if (limit !== null) {
            refillShared(now)
            bucket.shared += bytes
            active.add(bucket)
            // Nobody waits for what is saved up: no need to wait for the next moment.
            if (waiting.size === 0 && bucket.shared > 0 && bucket.shared <= sharedTokens) {
              sharedTokens -= bucket.shared
              bucket.shared = 0
            }
          }
          if (bucket.own <= 0 && bucket.shared <= 0 && bucket.waiting.size === 0) return null
          timer ??= setInterval(tick, tickMs)
          waiting.add(bucket)
          return new Promise((resolve) => {
            resume = resolve
            bucket.waiting.add(resolve)
          })
        },
        leave() {
          bucket.bodies -= 1
          if (bucket.bodies === 0 && bucket.shared <= 0) active.delete(bucket)
          if (resume && bucket.waiting.delete(resume)) resume()
          if (bucket.waiting.size === 0) waiting.delete(bucket)
        },
      }
    },
  }
}
