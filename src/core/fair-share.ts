/**
 * Shares `all` places between users without a fixed number for each: a user may take one more place while fewer than as many are taken by
 * this user as are still free. So one user alone gets half of the places, `n` greedy users one in `n + 1` each, and one in `n + 1` is
 * left for the users who come next.
 */
export interface FairShare {
  /** Takes a place for `user`. Returns a function that gives it back, which may be called twice, or `null` without a place. */
  take(user: string): (() => void) | null
}

/** Creates `all` places. `ofUser`: a limit for each user in addition. */
export function createFairShare(all: number, ofUser = Number.POSITIVE_INFINITY): FairShare {
  const counts = new Map<string, number>()
  let taken = 0
  return {
    take(user) {
      const own = counts.get(user) ?? 0
      if (own >= Math.min(ofUser, all - taken)) return null
      counts.set(user, own + 1)
      taken += 1
      let isTaken = true
      return () => {
        if (!isTaken) return
        isTaken = false
        taken -= 1
        const left = counts.get(user)! - 1
        if (left > 0) counts.set(user, left)
        else counts.delete(user)
      }
    },
  }
}
