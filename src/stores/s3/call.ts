import { toS3Error } from './errors.ts'

/** Who counts the requests that a store makes: those of the SDK when they are over, the others each time they are tried. */
export interface StoreWatch {
  onRequest?(operation: string, code: string): void
}

/** Asks the store something by the SDK, within `ms`. @throws S3Error */
export type StoreCall = <T>(operation: string, work: (signal: AbortSignal) => Promise<T>, ms?: number) => Promise<T>

/** A way to ask that waits `usualMs` for an answer unless told. */
export function createCaller(usualMs: number, onRequest: (operation: string, code: string) => void): StoreCall {
  return async (operation, work, ms = usualMs) => {
    try {
      const answer = await work(AbortSignal.timeout(ms))
      onRequest(operation, 'OK')
      return answer
    } catch (error) {
      const fault = toS3Error(operation, error)
      onRequest(operation, fault.code)
      throw fault
    }
  }
}
