import { errors } from '../core/errors/errors.ts'
import { isServersOwn } from '../core/pairing/marker.ts'
import type { MemoryStore } from './memory-store.ts'

/** A call of a store that may be told to fail. */
export type StoreCall =
  | 'createMultipart'
  | 'uploadPart'
  | 'copyPart'
  | 'completeMultipart'
  | 'abortMultipart'
  | 'put'
  | 'stat'
  | 'read'
  | 'remove'

/** What happens to the next calls of one kind. */
export interface Fault {
  call: StoreCall
  /**
   * `fails`: the store is away, and nothing happens. `loses-answer`: it does what it is asked, and its answer is lost. `waits`: it answers
   * once `until` resolves.
   */
  how: 'fails' | 'loses-answer' | 'waits'
  /** How many calls, one after the other. Default: 1. */
  times?: number
  until?: Promise<void>
}

/**
 * Makes `store` follow `script`: each call takes the first fault for its kind that is left; other calls succeed. Calls for the store's own
 * marker and probe are left alone.
 * @returns `left`, the faults that have not happened yet
 */
export function scriptFaults(store: MemoryStore, script: Fault[]): { left(): Fault[] } {
  const waiting = script.map((fault) => ({ fault, times: fault.times ?? 1 }))
  /** Calls that were begun with a fault and have not ended. */
  const begun: { call: string; key: string; fault: Fault }[] = []

  store.fault = async (call, at, key) => {
    if (isServersOwn(key)) return
    if (at === 'before') {
      const next = waiting.find(({ fault, times }) => fault.call === call && times > 0)
      if (!next) return
      next.times -= 1
      const { fault } = next
      if (fault.how === 'fails') throw errors.storeUnavailable({})
      if (fault.how === 'waits') await fault.until
      else begun.push({ call, key, fault })
      return
    }
    const index = begun.findIndex((one) => one.call === call && one.key === key)
    if (index === -1) return
    begun.splice(index, 1)
    throw errors.storeUnavailable({})
  }
  return {
    left: () => waiting.filter(({ times }) => times > 0).map(({ fault, times }) => ({ ...fault, times })),
  }
}
