import { UploadError } from '../errors.ts'
import type { MemoryBudget } from '../parts/memory-budget.ts'

/** How many bodies may flow at once, and none more while memory is short: who comes then is sent away before anything is done. */
export interface BodyGate {
  /** @throws UploadError OVERLOADED when there is no room for one more body */
  check(): void
  /** As `check`; counts the body until the way out that it returns is taken. */
  enter(): () => void
}

// Who waits for room holds a chunk beyond the budget; so much more means that there are very many of them.
const shortAt = 1.25

/** A gate for `most` bodies, whose bytes `budget` counts. */
export function createBodyGate(most: number, budget: Pick<MemoryBudget, 'limit' | 'used'>): BodyGate {
  let flowing = 0
  function check() {
    if (flowing >= most) throw overloaded('BODIES_AT_ONCE')
    if (budget.used > budget.limit * shortAt) throw overloaded('MEMORY_BUDGET')
  }
  return {
    check,
    enter() {
      check()
      flowing += 1
      return () => {
        flowing -= 1
      }
    },
  }
}

function overloaded(rule: string): UploadError {
  return new UploadError('OVERLOADED', 'The server receives as much as it can. Please try again in a moment.', { rule })
}
