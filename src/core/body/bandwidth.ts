/*
 * Limits how fast bodies are read: bytes a second of one user, and bytes a second of all users of this server together.
 *
 * Bytes are counted after they arrived, so a limit never cuts a chunk; it delays the next one. A user who took more than the limits allow
 * has a debt, and none of the user's bodies is read until it is paid. Each user has two accounts. The first belongs to the user's own limit
 * and is paid as time passes. The second belongs to the limit of the server: as soon as a user has to wait, the bytes of every tick are
 * shared equally among the users who send, however many bodies each of them has. A user whose credit is full leaves the rest of the share
 * to the others.
 */

/** How fast one body may be read. */
export interface Pace {
  /** Counts bytes that arrived. While a promise is returned, nothing may be read until it resolves. 0 bytes: may reading begin? */
  spend(bytes: number): Promise<void> | null
  /** The body has ended. A pending promise of `spend` resolves. */
  leave(): void
}

export interface Bandwidth {
  /** Adds a body of `user`, whose limit is `perSecond` bytes from now on, `null` for none. Returns `null` when no limit applies. */
  join(user: string, perSecond: number | null): Pace | null
}

/** The accounts of one user, in bytes. A debt is above zero, credit below. */
interface TokenBucket {
  perSecond: number
  /** The account of the user's own limit, as of `ownAt`. */
  own: number
  ownAt: number
  /** The account of the server's limit. */
  shared: number
  bodies: number
  waiting: Set<() => void>
}

const tickMs = 20
// The credit that may be saved up: more would allow bursts, less would stop bodies although bandwidth is free.
const burstSeconds = 0.1
const usualChunk = 64 * 1024
const maxIdleBuckets = 1000

/** A bandwidth of `limit` bytes a second for all users together; `null`: no limit. */
export function createBandwidth(limit: number | null): Bandwidth {
  const perSecond = limit ?? Number.POSITIVE_INFINITY
  const buckets = new Map<string, TokenBucket>()
  const waiting = new Set<TokenBucket>()
  /** Users who send or have a debt. */
  const active = new Set<TokenBucket>()
  let sharedTokens = limit === null ? 0 : limit * burstSeconds
  let refilledAt = performance.now()
  let timer: NodeJS.Timeout | null = null

  /** Adds the bytes of the time since the last refill. */
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

  /** Shares the tokens equally among the users; a user who needs less than the share leaves the rest to the others. */
  function share() {
    const backlogged = new Set(active)
    const maxCredit = Math.max(usualChunk, (perSecond * burstSeconds) / backlogged.size)
    while (sharedTokens > 1 && backlogged.size > 0) {
      const each = sharedTokens / backlogged.size
      for (const bucket of backlogged) {
        const payment = Math.max(0, Math.min(each, bucket.shared + maxCredit))
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

  /** Resumes bodies of the user, each of which will bring about one chunk: resuming all of them at once would be a burst. */
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

  /** Forgets users without bodies and without debt. A debt outlives its bodies, or many short bodies would evade the limit. */
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
            // No user waits, so the debt is paid at once instead of at the next tick.
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
