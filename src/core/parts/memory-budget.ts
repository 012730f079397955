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
  readonly isShort: boolean
  add(bytes: number): void
  giveBack(bytes: number): void
  /** Whether `holder` must wait before it takes more. The last of the budget is for those whose part will soon leave. */
  isFull(holder: Holder): boolean
  /** Resolves when there is room for `holder`; `null` when there is. */
  room(holder: Holder): Promise<void> | null
  /** `giveUp` is called when the budget is short, before anybody has to wait: for what is only kept for speed. */
  onShort(giveUp: () => void): void
  /** Lets the budget ask `holder` to spill. Returns the way out. */
  join(holder: Holder): () => void
}

export interface Holder {
  /** Bytes it could spill now. */
  spillable(): number
  /** Bytes it waits for until its part is full and leaves. */
  missing(): number
  /** When the first of the bytes that it holds came (`performance.now()`); the budget adds what it made the holder wait. */
  since: number
  /** Writes what it holds to the store. Never rejects. */
  spill(): Promise<void>
}

interface Waiting {
  holder: Holder
  since: number
  resolve(): void
}

const spillsAtOnce = 8
// Below this much a spill frees less than it costs.
const worthSpilling = 64 * 1024
// Whoever is let go on takes at least one socket buffer.
const socketBuffer = 64 * 1024
const lookEveryMs = 10
// Above this share of the budget somebody has to make room.
const ease = 0.75
// What is above this share is not for slow clients: however many they are, the others must get through.
const slowShare = 0.85
const soonMs = 2000

/** A budget of `limit` bytes. */
export function createMemoryBudget(limit: number): MemoryBudget {
  let used = 0
  let spilling = 0
  let willLook = false
  let waiting: Waiting[] = []
  /** Since when a holder waits: that time is not the client's slowness. */
  const stopped = new Map<Holder, number>()
  const holders = new Set<Holder>()
  const luxuries: (() => void)[] = []

  const isShort = () => used > limit * ease

  function lookSoon() {
    if (willLook) return
    willLook = true
    setTimeout(() => {
      willLook = false
      if (isShort()) for (const giveUp of luxuries) giveUp()
      relieve()
      wake()
      if (waiting.length > 0) lookSoon()
    }, lookEveryMs)
  }

  /** Lets as many go on as can fill their parts; those who got less than that are looked at again. */
  function wake() {
    if (used >= limit || waiting.length === 0) return
    let taken = used
    // One who has waited longest, so that nobody is passed over for ever.
    if (taken < limit * slowShare) {
      goOn(waiting.shift()!)
      taken += socketBuffer
    }
    const inTurn = waiting.map((one) => ({ one, ms: msToGo(one.holder) })).sort((a, b) => a.ms - b.ms)
    let count = 0
    for (; count < inTurn.length; count += 1) {
      const { one, ms } = inTurn[count]!
      if (taken >= shareOf(ms)) break
      taken += Math.max(socketBuffer, one.holder.missing())
      goOn(one)
    }
    waiting = inTurn
      .slice(count)
      .map(({ one }) => one)
      .sort((a, b) => a.since - b.since)
  }

  function goOn({ holder, since, resolve }: Waiting) {
    holder.since += performance.now() - since
    stopped.delete(holder)
    resolve()
  }

  /** How long until its part is full; of one who has brought nothing yet the best is thought. */
  function msToGo(holder: Holder): number {
    const held = holder.spillable()
    const until = stopped.get(holder) ?? performance.now()
    return held === 0 ? 0 : (holder.missing() * (until - holder.since)) / held
  }

  const shareOf = (ms: number) => (ms > soonMs ? limit * slowShare : limit)
  const isFull = (holder: Holder) => used >= limit || (used >= limit * slowShare && used >= shareOf(msToGo(holder)))

  function relieve() {
    if (!isShort()) return
    const all = [...holders].map((holder) => ({ holder, bytes: holder.spillable() })).filter(({ bytes }) => bytes > 0)
    const onItsWay = used - all.reduce((sum, { bytes }) => sum + bytes, 0)
    if (onItsWay > limit / 4) return
    const large = all.filter(({ bytes }) => bytes >= worthSpilling)
    const candidates = (large.length > 0 ? large : all)
      .map((one) => ({ ...one, ms: msToGo(one.holder) }))
      .sort((a, b) => b.ms - a.ms)
    let short = used - limit * ease
    for (const { holder, bytes } of candidates) {
      if (short <= 0 || spilling >= spillsAtOnce) return
      short -= bytes
      spilling += 1
      void holder.spill().finally(() => {
        spilling -= 1
      })
    }
  }

  return {
    limit,
    get used() {
      return used
    },
    get isShort() {
      return isShort()
    },
    add(bytes) {
      used += bytes
      if (isShort()) lookSoon()
    },
    giveBack(bytes) {
      used -= bytes
      if (waiting.length > 0) wake()
    },
    isFull,
    room(holder) {
      if (!isFull(holder)) return null
      for (const giveUp of luxuries) giveUp()
      if (!isFull(holder)) return null
      lookSoon()
      return new Promise((resolve) => {
        const since = performance.now()
        stopped.set(holder, since)
        waiting.push({ holder, since, resolve })
      })
    },
    onShort(giveUp) {
      luxuries.push(giveUp)
    },
    join(holder) {
      holders.add(holder)
      return () => holders.delete(holder)
    },
  }
}
