import { UploadError } from '../../core/errors/error.ts'
import type { Quota } from '../../core/policy/quota.ts'
import { retryAfter } from '../../core/policy/rate.ts'
import { type Actor, ownerKey } from '../../core/upload.ts'

// Users over their rate; some hundred kilobytes of memory.
const maxPauses = 5000

type Owner = Pick<Actor, 'id' | 'tenant'>

/**
 * Remembers the users over their rate of creations, who cannot create another upload before a known moment. Until then their
 * creation requests are refused without a query, so a flood of them costs the database nothing.
 */
export class CreationPauses {
  readonly #pauses = new Map<string, { until: number; perMinute: unknown; error: UploadError }>()

  /** @throws UploadError the one that was remembered, while the pause lasts and the limit is the same */
  assertNotPaused(owner: Owner, { creationsPerMinute }: Quota): void {
    const pause = this.#pauses.get(ownerKey(owner))
    if (!pause) return
    const leftMs = pause.until - performance.now()
    // A limit that has changed since gives another moment.
    if (leftMs <= 0 || pause.perMinute !== creationsPerMinute) {
      this.#pauses.delete(ownerKey(owner))
      return
    }
    const { code, message, facts } = pause.error
    throw new UploadError(code, message, { ...facts, retryAfter: retryAfter(leftMs) })
  }

  /** Remembers `error` if it is about the rate; returns it. */
  remember(owner: Owner, error: UploadError): UploadError {
    const { rule, perMinute, waitMs } = error.facts
    if (rule !== 'creationsPerMinute' || typeof waitMs !== 'number') return error
    this.#pauses.set(ownerKey(owner), { until: performance.now() + waitMs, perMinute, error })
    if (this.#pauses.size > maxPauses) this.#pauses.delete(this.#pauses.keys().next().value!)
    return error
  }
}
