import { socketsAtOnce } from './client.ts'
import { shareConnections } from './connections.ts'
import { toS3Error } from './errors.ts'

/** Sends a request by the SDK and waits at most `ms` for its answer. @throws S3Error */
export type StoreCall = <T>(operation: string, work: (signal: AbortSignal) => Promise<T>, ms?: number) => Promise<T>

/** A `StoreCall` with the timeout `defaultMs`. */
export function createCaller(defaultMs: number, onRequest: (operation: string, code: string) => void): StoreCall {
  const onConnection = shareConnections(socketsAtOnce)
  return async (operation, work, ms = defaultMs) => {
    try {
      const answer = await onConnection(operation, () => work(AbortSignal.timeout(ms)))
      onRequest(operation, 'OK')
      return answer
    } catch (thrown) {
      const error = toS3Error(operation, thrown)
      onRequest(operation, error.code)
      throw error
    }
  }
}
