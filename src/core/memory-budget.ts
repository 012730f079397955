/**
 * One budget of body bytes for the process. Bytes are counted when they arrive and given back when the store has them.
 * Counting never waits, so a slow client holds nothing but its own bytes; who adds to a budget that is full stops
 * reading until there is room. When everybody waits, room is made by the holders themselves: the one that was quiet
 * longest writes its bytes to the store as a piece (a spill), and so on until the budget is at ease.
 */
export interface MemoryBudget {
  readonly limit: number
  readonly used: number
  add(bytes: number): void
  giveBack(bytes: number): void
  /** Resolves when there is room; at once when there is. */
  room(): Promise<void> | null
  /** `giveUp` is called when the budget runs short, before anybody has to wait: for what is only kept for speed. */
  onShort(giveUp: () => void): void
  /** Lets the budget ask `holder` to spill. Returns the way out. */
  join(holder: Holder): () => void
}

export interface Holder {
  /** Bytes it could spill now. */
  spillable(): number
  /** When it last took a byte (ms of any steady clock). */
  touchedAt: number
  /** Writes what it holds to the store. Never rejects. */
  spill(): Promise<void>
}

const spillsAtOnce = 8
// Below this much a spill frees less than it costs.
const worthSpilling = 64 * 1024
const socketBuffer = 64 * 1024

/** A budget of `limit` bytes. */
export function createMemoryBudget(limit: number): MemoryBudget {
  let used = 0
  let spilling = 0
  const joined = new Set<Holder>()
  const idle = new Set<Holder>()
  const waiting: (() => void)[] = []
  const luxuries: (() => void)[] = []

  function relieve() {
    while (used > limit * 0.85 && spilling < spillsAtOnce) {
      const coldest = findColdest(used > limit ? 1 : worthSpilling)
      if (!coldest) return
      spilling += 1
      idle.delete(coldest)
      void coldest.spill().finally(() => {
        spilling -= 1
        if (joined.has(coldest)) idle.add(coldest)
        relieve()
      })
    }
  }

  function findColdest(least: number): Holder | null {
    let coldest: Holder | null = null
    for (const holder of idle) {
      if (holder.spillable() >= least && (!coldest || holder.touchedAt < coldest.touchedAt)) coldest = holder
    }
    return coldest
  }

  return {
    limit,
    get used() {
      return used
    },
    add(bytes) {
      used += bytes
    },
    giveBack(bytes) {
      used -= bytes
      // Each of them will read about one socket buffer: waking all at once would overrun the budget by as many.
      for (let free = limit - used; free > 0 && waiting.length > 0; free -= socketBuffer) waiting.shift()!()
    },
    room() {
      if (used < limit) return null
      for (const giveUp of luxuries) giveUp()
      if (used < limit) return null
      relieve()
      return new Promise((resolve) => waiting.push(resolve))
    },
    onShort(giveUp) {
      luxuries.push(giveUp)
    },
    join(holder) {
      idle.add(holder)
      joined.add(holder)
      return () => {
        idle.delete(holder)
        joined.delete(holder)
      }
    },
  }
}
