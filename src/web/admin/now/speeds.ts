import type { AnyUpload } from '../../../contract/admin-uploads.ts'

// `received` grows by whole parts and `updatedAt` says when: the speed is measured over the last parts, not over the last polls.

interface Step {
  received: number
  at: number
}

const maxSteps = 6
// After so long without a part the speed is unknown.
const stalledMs = 20_000

/** The speeds of uploads, measured from poll to poll. */
export interface Speeds {
  /** Records the uploads at `now` (milliseconds of this machine's clock); others are forgotten. */
  record(uploads: AnyUpload[], now: number): void
  /** Bytes per second; `null` when there is too little data, or no part for a while. */
  of(id: string, now: number): number | null
}

/** Creates an empty measurement. */
export function createSpeeds(): Speeds {
  const known = new Map<string, { steps: Step[]; changedAt: number }>()
  return {
    record(uploads, now) {
      const ids = new Set(uploads.map(({ id }) => id))
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
      for (const { id, received, updatedAt } of uploads) {
        const before = known.get(id)
        if (before && before.steps.at(-1)!.received === received) continue
        const step = { received, at: Date.parse(updatedAt) }
        known.set(id, { steps: [...(before?.steps ?? []), step].slice(-maxSteps), changedAt: now })
      }
    },
    of(id, now) {
      const { steps, changedAt } = known.get(id) ?? { steps: [], changedAt: 0 }
      const [first, last] = [steps[0], steps.at(-1)]
      if (!first || !last || last.at <= first.at || now - changedAt > stalledMs) return null
      return ((last.received - first.received) / (last.at - first.at)) * 1000
    },
  }
}
