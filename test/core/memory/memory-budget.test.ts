import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type BudgetUser, createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'

const KiB = 1024

/** A part buffer with `inMemory` bytes of a part that lacks `missing` more, and that has been filling for `ms`. */
function addHolder(budget: ReturnType<typeof createMemoryBudget>, inMemory: number, missing: number, ms: number) {
  const holder: BudgetUser & { held: number; spills: number } = {
    held: inMemory,
    spills: 0,
    waitingSince: performance.now() - ms,
    spillable: () => holder.held,
    missingBytes: () => missing,
    async spill() {
      holder.spills += 1
      budget.release(holder.held)
      holder.held = 0
    },
  }
  budget.add(inMemory)
  budget.join(holder)
  return holder
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Long enough for several checks of the budget. */
const checks = () => vi.advanceTimersByTimeAsync(60)

it('spills the part that would take longest to fill', async () => {
  const budget = createMemoryBudget(1000 * KiB)
  const slow = addHolder(budget, 400 * KiB, 600 * KiB, 60_000)
  const fast = addHolder(budget, 400 * KiB, 600 * KiB, 100)
  const other = addHolder(budget, 200 * KiB, 800 * KiB, 100)

  const room = budget.waitForRoom(fast)
  await checks()
  await room

  expect([slow.spills, fast.spills, other.spills]).toEqual([1, 0, 0])
})

it('waits for uploads to the store instead of spilling', async () => {
  const budget = createMemoryBudget(1000 * KiB)
  const waiting = addHolder(budget, 600 * KiB, 400 * KiB, 100)
  const inFlight = 400 * KiB
  budget.add(inFlight)

  const room = budget.waitForRoom(waiting)
  await checks()
  const spillsBefore = waiting.spills
  budget.release(inFlight)
  await room

  expect([spillsBefore, waiting.spills]).toEqual([0, 0])
})

it('serves first those who complete a part with the freed memory', async () => {
  const budget = createMemoryBudget(1000 * KiB)
  const far = addHolder(budget, 300 * KiB, 700 * KiB, 100)
  const near = addHolder(budget, 300 * KiB, 64 * KiB, 100)
  budget.add(400 * KiB)
  const order: string[] = []
  const wait = async (name: string, user: BudgetUser) => {
    await budget.waitForRoom(user)
    order.push(name)
  }
  const all = [wait('longest waiting', addHolder(budget, 0, 900 * KiB, 0)), wait('far', far), wait('near', near)]

  budget.release(128 * KiB)
  await checks()
  budget.release(272 * KiB)
  await checks()
  await Promise.all(all)

  expect(order.slice(0, 2)).toEqual(['longest waiting', 'near'])
})

it('does not let a fast body wait behind slow ones that lack fewer bytes', async () => {
  const budget = createMemoryBudget(1000 * KiB)
  const slow = Array.from({ length: 5 }, () => addHolder(budget, 40 * KiB, 100 * KiB, 60_000))
  const fast = addHolder(budget, 300 * KiB, 700 * KiB, 100)
  budget.add(500 * KiB)
  const order: string[] = []
  const all = [...slow, fast].map(async (holder) => {
    await budget.waitForRoom(holder)
    order.push(holder === fast ? 'fast' : 'slow')
  })

  budget.release(128 * KiB)
  await checks()
  budget.release(372 * KiB)
  await checks()
  await Promise.all(all)

  expect(order[0]).toBe('fast')
})
