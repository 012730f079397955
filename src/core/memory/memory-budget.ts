/**
 * One budget of body bytes for the process. Bytes are counted when they arrive and given back when the store has them.
 * Counting never waits, so a slow client holds nothing but its own bytes; who adds to a budget that is full stops
 * reading until there is room.
 *
 * Room comes by itself while parts are on their way to the store, and goes first to those who will soonest have filled
 * theirs, at the speed at which they came so far: then some parts leave, instead of all of them being half there, and a fast
 * client does not stand in line behind a thousand slow ones. Where nothing is on its way, room is made by the
 * holders: the one whose part would take longest writes its bytes to the store as a
 * piece (a spill), and so on until the budget is at ease.
 */
export interface MemoryBudget {
  readonly limit: number
  readonly used: number
  /** So much is used that it is better not to keep what need not be kept. */
  readonly underPressure: boolean
  add(bytes: number): void
  release(bytes: number): void
  /** Whether `holder` must wait before it takes more. The last of the budget is for those whose part will soon leave. */
  isFull(budgetUser: BudgetUser): boolean
  /** Resolves when there is room for `holder`; `null` when there is. */
  waitForRoom(budgetUser: BudgetUser): Promise<void> | null
  /** `giveUp` is called when the budget is short, before anybody has to wait: for what is only kept for speed. */
  onPressure(giveUp: () => void): void
  /** Lets the budget ask `holder` to spill. Returns the way out. */
  join(budgetUser: BudgetUser): () => void
}

export interface BudgetUser {
  /** Bytes it could spill now. */
  spillable(): number
  /** Bytes it waits for until its part is full and leaves. */
  missingBytes(): number
  /** When the first of the bytes that it holds came (`performance.now()`); the budget adds what it made the holder wait. */
  waitingSince: number
  /** Writes what it holds to the store. Never rejects. */
  spill(): Promise<void>
}

interface Waiting {
  holder: BudgetUser
  since: number
  resolve(): void
}

const spillsAtOnce = 8
// Below this much a spill frees less than it costs.
const minSpill = 64 * 1024
// Whoever is let go on takes at least one socket buffer.
const socketBuffer = 64 * 1024
const checkEveryMs = 10
// Above this share of the budget somebody has to make room.
const highWaterMark = 0.75
// What is above this share is not for slow clients: however many they are, the others must get through.
const slowShare = 0.85
const soonMs = 2000

/** A budget of `limit` bytes. */
export function createMemoryBudget(limit: number): MemoryBudget {
  let used = 0
  let spilling = 0
  let willCheck = false
  let waiting: Waiting[] = []
  /** Since when a holder waits: that time is not the client's slowness. */
  const waitingSince = new Map<BudgetUser, number>()
  const holders = new Set<BudgetUser>()
  const evictables: (() => void)[] = []

  const underPressure = () => used > limit * highWaterMark

  function checkSoon() {
    if (willCheck) return
    willCheck = true
    setTimeout(() => {
      willCheck = false
      if (underPressure()) for (const giveUp of evictables) giveUp()
      relieve()
      wake()
      if (waiting.length > 0) checkSoon()
    }, checkEveryMs)
  }

  /** Lets as many go on as can fill their parts; those who got less than that are looked at again. */
  function wake() {
    if (used >= limit || waiting.length === 0) return
    let taken = used
    // One who has waited longest, so that nobody is passed over for ever.
    if (taken < limit * slowShare) {
      resume(waiting.shift()!)
      taken += socketBuffer
    }
    const inTurn = waiting.map((one) => ({ one, ms: estimatedFillMs(one.holder) })).sort((a, b) => a.ms - b.ms)
    let count = 0
    for (; count < inTurn.length; count += 1) {
      const { one, ms } = inTurn[count]!
      if (taken >= shareOf(ms)) break
      taken += Math.max(socketBuffer, one.holder.missingBytes())
      resume(one)
    }
    waiting = inTurn
      .slice(count)
      .map(({ one }) => one)
      .sort((a, b) => a.since - b.since)
  }

  function resume({ holder: budgetUser, since, resolve }: Waiting) {
    budgetUser.waitingSince += performance.now() - since
    waitingSince.delete(budgetUser)
    resolve()
  }

  /** How long until its part is full; of one who has brought nothing yet the best is thought. */
  function estimatedFillMs(budgetUser: BudgetUser): number {
    const inMemory = budgetUser.spillable()
    const until = waitingSince.get(budgetUser) ?? performance.now()
    return inMemory === 0 ? 0 : (budgetUser.missingBytes() * (until - budgetUser.waitingSince)) / inMemory
  }

  const shareOf = (ms: number) => (ms > soonMs ? limit * slowShare : limit)
  const isFull = (budgetUser: BudgetUser) =>
    used >= limit || (used >= limit * slowShare && used >= shareOf(estimatedFillMs(budgetUser)))

  function relieve() {
    if (!underPressure()) return
    const all = [...holders]
      .map((budgetUser) => ({ holder: budgetUser, bytes: budgetUser.spillable() }))
      .filter(({ bytes }) => bytes > 0)
    const inFlight = used - all.reduce((sum, { bytes }) => sum + bytes, 0)
    if (inFlight > limit / 4) return
    const large = all.filter(({ bytes }) => bytes >= minSpill)
    const candidates = (large.length > 0 ? large : all)
      .map((one) => ({ ...one, ms: estimatedFillMs(one.holder) }))
      .sort((a, b) => b.ms - a.ms)
    let excess = used - limit * highWaterMark
    for (const { holder: budgetUser, bytes } of candidates) {
      if (excess <= 0 || spilling >= spillsAtOnce) return
      excess -= bytes
      spilling += 1
      void budgetUser.spill().finally(() => {
        spilling -= 1
      })
    }
  }

  return {
    limit,
    get used() {
      return used
    },
    get underPressure() {
      return underPressure()
    },
    add(bytes) {
      used += bytes
      if (underPressure()) checkSoon()
    },
    release(bytes) {
      used -= bytes
      if (waiting.length > 0) wake()
    },
    isFull,
    waitForRoom(budgetUser) {
      if (!isFull(budgetUser)) return null
      for (const giveUp of evictables) giveUp()
      if (!isFull(budgetUser)) return null
      checkSoon()
      return new Promise((resolve) => {
        const since = performance.now()
        waitingSince.set(budgetUser, since)
        waiting.push({ holder: budgetUser, since, resolve })
      })
    },
    onPressure(giveUp) {
      evictables.push(giveUp)
    },
    join(budgetUser) {
      holders.add(budgetUser)
      return () => holders.delete(budgetUser)
    },
  }
}
