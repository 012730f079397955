import type { AnyUpload } from '../../../client/admin-types.ts'

// What is received of an upload grows by whole parts, and `updatedAt` says when it did: the speed is that of the last parts, not
// of the last looks.

interface Step {
  received: number
  at: number
}

const mostSteps = 6
// Bytes that came so long ago say nothing of now.
const stalledMs = 20_000

/** The speeds of uploads, from one look to the next. */
export interface Speeds {
  /** Tells what is seen now (milliseconds of this machine's clock); what is not among it is forgotten. */
  saw(uploads: AnyUpload[], now: number): void
  /** Bytes a second; `null` while too little was seen to say, or when nothing came for a while. */
  of(id: string, now: number): number | null
}

/** Nothing is known to begin with. */
export function createSpeeds(): Speeds {
  const known = new Map<string, { steps: Step[]; seenAt: number }>()
  return {
    saw(uploads, now) {
      const ids = new Set(uploads.map(({ id }) => id))
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
      for (const { id, received, updatedAt } of uploads) {
        const before = known.get(id)
        if (before && before.steps.at(-1)!.received === received) continue
        const step = { received, at: Date.parse(updatedAt) }
        known.set(id, { steps: [...(before?.steps ?? []), step].slice(-mostSteps), seenAt: now })
      }
    },
    of(id, now) {
      const { steps, seenAt } = known.get(id) ?? { steps: [], seenAt: 0 }
      const [first, last] = [steps[0], steps.at(-1)]
      if (!first || !last || last.at <= first.at || now - seenAt > stalledMs) return null
      return ((last.received - first.received) / (last.at - first.at)) * 1000
    },
  }
}
