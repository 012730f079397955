import { toS3Error } from './errors.ts'

/** Counts the requests of a store: those of the SDK once, when they have ended, and those of the sender at each attempt. */
export interface StoreWatch {
  onRequest?(operation: string, code: string): void
}

/** Sends a request by the SDK and waits at most `ms` for its answer. @throws S3Error */
export type StoreCall = <T>(operation: string, work: (signal: AbortSignal) => Promise<T>, ms?: number) => Promise<T>

/** A `StoreCall` with the timeout `defaultMs`. */
export function createCaller(defaultMs: number, onRequest: (operation: string, code: string) => void): StoreCall {
  return async (operation, work, ms = defaultMs) => {
    try {
      const answer = await work(AbortSignal.timeout(ms))
      onRequest(operation, 'OK')
      return answer
    } catch (thrown) {
      const error = toS3Error(operation, thrown)
      onRequest(operation, error.code)
      throw error
    }
  }
}
