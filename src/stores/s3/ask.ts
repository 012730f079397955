import { faultOfSdk } from './faults.ts'

/** Who counts the requests that a store makes: those of the SDK when they are over, the others each time they are tried. */
export interface StoreWatch {
  onRequest?(operation: string, code: string): void
}

/** Asks the store something by the SDK, within `ms`. @throws S3Fault */
export type Ask = <T>(operation: string, work: (signal: AbortSignal) => Promise<T>, ms?: number) => Promise<T>

/** A way to ask that waits `usualMs` for an answer unless told. */
export function asker(usualMs: number, onRequest: (operation: string, code: string) => void): Ask {
  return async (operation, work, ms = usualMs) => {
    try {
      const answer = await work(AbortSignal.timeout(ms))
      onRequest(operation, 'OK')
      return answer
    } catch (error) {
      const fault = faultOfSdk(operation, error)
      onRequest(operation, fault.code)
      throw fault
    }
  }
}
