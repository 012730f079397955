/**
 * One budget of body bytes in memory for the whole process. Bytes are counted when they arrive and released when the store has them.
 * Counting never waits, so a slow client occupies only its own bytes. A budget user that added bytes to a full budget stops reading until
 * there is room.
 *
 * While parts are on their way to the store, room becomes free without further action. It goes first to the budget users that will fill
 * their part soonest at their speed so far: then some parts are completed and leave, instead of all parts staying half full, and a fast
 * client does not queue behind a thousand slow ones. While too few bytes are on their way, the budget users that would take longest to fill
 * their part write their bytes to the store as tail objects (a spill), until the budget is no longer under pressure.
 */
export interface MemoryBudget {
  readonly limit: number
  readonly used: number
  /** More than the high-water mark is used: bytes that are cached only for speed should be released. */
  readonly underPressure: boolean
  add(bytes: number): void
  release(bytes: number): void
  /** Whether `budgetUser` must wait before it takes more. The last share of the budget is reserved for parts that will soon be full. */
  isFull(budgetUser: BudgetUser): boolean
  /** Resolves when there is room for `budgetUser`; `null` when there is room now. */
  waitForRoom(budgetUser: BudgetUser): Promise<void> | null
  /** Calls `evict` under pressure, before any budget user has to wait, to release bytes that are kept only for speed. */
  onPressure(evict: () => void): void
  /** Lets the budget ask `budgetUser` to spill. Returns a function that ends this. */
  join(budgetUser: BudgetUser): () => void
}

/** A part that is being filled in memory. */
export interface BudgetUser {
  /** Bytes that it could spill now. */
  spillable(): number
  /** Bytes that it needs until its part is full and goes to the store. */
  missingBytes(): number
  /** `performance.now()` when the first of its bytes arrived; the budget adds the time for which it made the budget user wait. */
  waitingSince: number
  /** Writes its bytes to the store. Never rejects. */
  spill(): Promise<void>
}

interface Waiting {
  budgetUser: BudgetUser
  since: number
  resolve(): void
}

const spillsAtOnce = 8
// A smaller spill costs more than it frees.
const minSpill = 64 * 1024
// A budget user that resumes takes at least one socket buffer.
const socketBuffer = 64 * 1024
const checkEveryMs = 10
// Above this share of the budget, room is made: caches are emptied and parts are spilled.
const highWaterMark = 0.75
// The rest of the budget is not for slow clients: however many there are, they must not block the others.
const slowShare = 0.85
const soonMs = 2000

/** A budget of `limit` bytes. */
export function createMemoryBudget(limit: number): MemoryBudget {
  let used = 0
  let spilling = 0
  let willCheck = false
  let waiting: Waiting[] = []
  /** Since when each budget user waits: that time does not make the client slow. */
  const waitingSince = new Map<BudgetUser, number>()
  const budgetUsers = new Set<BudgetUser>()
  const evictions: (() => void)[] = []

  const underPressure = () => used > limit * highWaterMark

  function checkSoon() {
    if (willCheck) return
    willCheck = true
    setTimeout(() => {
      willCheck = false
      if (underPressure()) for (const evict of evictions) evict()
      relieve()
      wake()
      if (waiting.length > 0) checkSoon()
    }, checkEveryMs)
  }

  /** Resumes as many budget users as can fill their parts; the others keep waiting. */
  function wake() {
    if (used >= limit || waiting.length === 0) return
    let taken = used
    // The budget user that has waited longest resumes first, so that none starves.
    if (taken < limit * slowShare) {
      resume(waiting.shift()!)
      taken += socketBuffer
    }
    const inTurn = waiting.map((one) => ({ one, ms: estimatedFillMs(one.budgetUser) })).sort((a, b) => a.ms - b.ms)
    let count = 0
    for (; count < inTurn.length; count += 1) {
      const { one, ms } = inTurn[count]!
      if (taken >= shareOf(ms)) break
      taken += Math.max(socketBuffer, one.budgetUser.missingBytes())
      resume(one)
    }
    waiting = inTurn
      .slice(count)
      .map(({ one }) => one)
      .sort((a, b) => a.since - b.since)
  }

  function resume({ budgetUser, since, resolve }: Waiting) {
    budgetUser.waitingSince += performance.now() - since
    waitingSince.delete(budgetUser)
    resolve()
  }

  /** How long until its part is full at its speed so far; 0 while it has no bytes. */
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
    const all = [...budgetUsers]
      .map((budgetUser) => ({ budgetUser, bytes: budgetUser.spillable() }))
      .filter(({ bytes }) => bytes > 0)
    const inFlight = used - all.reduce((sum, { bytes }) => sum + bytes, 0)
    if (inFlight > limit / 4) return
    const large = all.filter(({ bytes }) => bytes >= minSpill)
    const candidates = (large.length > 0 ? large : all)
      .map((one) => ({ ...one, ms: estimatedFillMs(one.budgetUser) }))
      .sort((a, b) => b.ms - a.ms)
    let excess = used - limit * highWaterMark
    for (const { budgetUser, bytes } of candidates) {
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
      for (const evict of evictions) evict()
      if (!isFull(budgetUser)) return null
      checkSoon()
      return new Promise((resolve) => {
        const since = performance.now()
        waitingSince.set(budgetUser, since)
        waiting.push({ budgetUser, since, resolve })
      })
    },
    onPressure(evict) {
      evictions.push(evict)
    },
    join(budgetUser) {
      budgetUsers.add(budgetUser)
      return () => budgetUsers.delete(budgetUser)
    },
  }
}
