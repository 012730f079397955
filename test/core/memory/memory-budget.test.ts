import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type BudgetUser, createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'

const KiB = 1024

/** Somebody who holds `held` of a part that lacks `missing` more bytes, and has been at it for `ms`. */
function holder(budget: ReturnType<typeof createMemoryBudget>, inMemory: number, missing: number, ms: number) {
  const one: BudgetUser & { held: number; spills: number } = {
    held: inMemory,
    spills: 0,
    waitingSince: performance.now() - ms,
    spillable: () => one.held,
    missingBytes: () => missing,
    async spill() {
      one.spills += 1
      budget.release(one.held)
      one.held = 0
    },
  }
  budget.add(inMemory)
  budget.join(one)
  return one
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Long enough for the budget to have looked several times. */
const soon = () => vi.advanceTimersByTimeAsync(60)

it('has the one spill whose part would take longest', async () => {
  const budget = createMemoryBudget(1000 * KiB)
  const slow = holder(budget, 400 * KiB, 600 * KiB, 60_000)
  const fast = holder(budget, 400 * KiB, 600 * KiB, 100)
  const other = holder(budget, 200 * KiB, 800 * KiB, 100)

  const room = budget.waitForRoom(fast)
  await soon()
  await room

  expect([slow.spills, fast.spills, other.spills]).toEqual([1, 0, 0])
})

it('waits for what is on its way to the store instead of spilling', async () => {
  const budget = createMemoryBudget(1000 * KiB)
  const one = holder(budget, 600 * KiB, 400 * KiB, 100)
  const onItsWay = 400 * KiB
  budget.add(onItsWay)

  const room = budget.waitForRoom(one)
  await soon()
  const spillsBefore = one.spills
  budget.release(onItsWay)
  await room

  expect([spillsBefore, one.spills]).toEqual([0, 0])
})

it('gives room first to those who fill their part with it', async () => {
  const budget = createMemoryBudget(1000 * KiB)
  const far = holder(budget, 300 * KiB, 700 * KiB, 100)
  const near = holder(budget, 300 * KiB, 64 * KiB, 100)
  budget.add(400 * KiB)
  const order: string[] = []
  const wait = async (name: string, who: BudgetUser) => {
    await budget.waitForRoom(who)
    order.push(name)
  }
  const all = [wait('who waited longest', holder(budget, 0, 900 * KiB, 0)), wait('far', far), wait('near', near)]

  budget.release(128 * KiB)
  await soon()
  budget.release(272 * KiB)
  await soon()
  await Promise.all(all)

  expect(order.slice(0, 2)).toEqual(['who waited longest', 'near'])
})

it('does not let a fast one wait behind slow ones that lack less', async () => {
  const budget = createMemoryBudget(1000 * KiB)
  const slow = Array.from({ length: 5 }, () => holder(budget, 40 * KiB, 100 * KiB, 60_000))
  const fast = holder(budget, 300 * KiB, 700 * KiB, 100)
  budget.add(500 * KiB)
  const order: string[] = []
  const all = [...slow, fast].map(async (one) => {
    await budget.waitForRoom(one)
    order.push(one === fast ? 'fast' : 'slow')
  })

  budget.release(128 * KiB)
  await soon()
  budget.release(372 * KiB)
  await soon()
  await Promise.all(all)

  expect(order[0]).toBe('fast')
})
