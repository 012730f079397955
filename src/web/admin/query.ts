import { useEffect, useRef, useState } from 'preact/hooks'
import { RequestError } from '../../client/request-error.ts'
import { explain } from './messages.ts'
import { onTokenRefused } from './session.ts'

/** The result of a query, and the error of its last request. */
export interface QueryState<T> {
  /** The last successful result, also after a later error; `null`: none yet. */
  value: T | null
  /** The message of the last error. */
  error: string | null
  /** Sends the request again now. */
  refetch(): void
  /** Replaces the result by a newer one. */
  setData(value: T): void
}

export interface QueryOptions {
  /** Another key is another query, which starts without a result. */
  key?: string
  /** Keeps the result of the previous key until the new one is loaded. */
  keepPrevious?: boolean
  /** Suspends polling. */
  paused?: boolean
  /** Polling interval in milliseconds while the page is visible; default: no polling. */
  everyMs?: number
}

/** Loads data from the server and polls if asked to. If the server refuses the token, the page shows the sign-in form. */
export function useQuery<T>(
  load: () => Promise<T>,
  { key = '', keepPrevious = false, paused = false, everyMs }: QueryOptions = {},
): QueryState<T> {
  const [{ loadedKey, value, problem }, set] = useState<{ loadedKey: string; value: T | null; problem: string | null }>(
    {
      loadedKey: key,
      value: null,
      problem: null,
    },
  )
  const latest = useRef(load)
  latest.current = load
  const turn = useRef(0)
  const pending = useRef(0)
  const isPaused = useRef(paused)
  isPaused.current = paused

  async function refetch(): Promise<void> {
    const ownTurn = ++turn.current
    pending.current++
    try {
      const result = await latest.current()
      if (ownTurn === turn.current) set({ loadedKey: key, value: result, problem: null })
    } catch (thrown) {
      const message = errorMessage(thrown)
      if (ownTurn === turn.current)
        set((before) => ({
          loadedKey: key,
          value: keepPrevious || before.loadedKey === key ? before.value : null,
          problem: message,
        }))
    } finally {
      pending.current--
    }
  }

  useEffect(() => {
    void refetch()
    if (everyMs === undefined) return () => void turn.current++
    // At most one request is pending, so a slow server is not polled faster than it responds.
    const poll = () => {
      if (document.visibilityState === 'visible' && pending.current === 0 && !isPaused.current) void refetch()
    }
    const timer = setInterval(poll, everyMs)
    document.addEventListener('visibilitychange', poll)
    addEventListener('online', poll)
    return () => {
      // Responses of pending requests are ignored.
      turn.current++
      clearInterval(timer)
      document.removeEventListener('visibilitychange', poll)
      removeEventListener('online', poll)
    }
  }, [key, everyMs])

  const isCurrent = keepPrevious || loadedKey === key
  return {
    value: isCurrent ? value : null,
    error: isCurrent ? problem : null,
    refetch: () => void refetch(),
    setData(result) {
      turn.current++
      set({ loadedKey: key, value: result, problem: null })
    },
  }
}

/** The message for a request error; signs out if the server refuses the token. Any other error is a bug and is rethrown. */
export function errorMessage(thrown: unknown): string {
  if (!(thrown instanceof RequestError)) throw thrown
  const { code } = thrown.failure
  if (code === 'UNAUTHENTICATED' || code === 'FORBIDDEN') onTokenRefused(thrown)
  return explain(thrown.failure)
}
