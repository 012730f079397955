import { useEffect, useRef, useState } from 'preact/hooks'
import { RequestError } from '../../client/request-error.ts'
import { explain } from './messages.ts'
import { onTokenRefused } from './session.ts'

/** What the server said to a question, and what went wrong with the last try. */
export interface QueryState<T> {
  /** The last answer, also when a later try went wrong; `null`: none yet. */
  value: T | null
  /** In words. */
  error: string | null
  /** Asks again now. */
  refetch(): void
  /** Puts what is known better in the place of the answer. */
  setData(value: T): void
}

export interface QueryOptions {
  /** Another one is another question, whose answer begins empty. */
  key?: string
  /** What was known before is shown until there is an answer to the new question. */
  keepPrevious?: boolean
  /** Does not ask again by itself for now. */
  paused?: boolean
  /** Asks again after so many milliseconds while somebody looks; not given: never. */
  everyMs?: number
}

/** Asks the server, and again as often as told. Who may no longer ask is sent to the door. */
export function useQuery<T>(
  question: () => Promise<T>,
  { key = '', keepPrevious = false, paused = false, everyMs }: QueryOptions = {},
): QueryState<T> {
  const [{ known, value, problem }, set] = useState<{ known: string; value: T | null; problem: string | null }>({
    known: key,
    value: null,
    problem: null,
  })
  const latest = useRef(question)
  latest.current = question
  const turn = useRef(0)
  const waiting = useRef(0)
  const rests = useRef(paused)
  rests.current = paused

  async function refetch(): Promise<void> {
    const mine = ++turn.current
    waiting.current++
    try {
      const said = await latest.current()
      if (mine === turn.current) set({ known: key, value: said, problem: null })
    } catch (thrown) {
      const words = errorMessage(thrown)
      if (mine === turn.current)
        set((before) => ({
          known: key,
          value: keepPrevious || before.known === key ? before.value : null,
          problem: words,
        }))
    } finally {
      waiting.current--
    }
  }

  useEffect(() => {
    void refetch()
    if (everyMs === undefined) return () => void turn.current++
    // A server that answers slowly is not asked faster than it answers, and its answers count.
    const look = () => {
      if (document.visibilityState === 'visible' && waiting.current === 0 && !rests.current) void refetch()
    }
    const ticking = setInterval(look, everyMs)
    document.addEventListener('visibilitychange', look)
    addEventListener('online', look)
    return () => {
      // What is still on its way belongs to nobody any more.
      turn.current++
      clearInterval(ticking)
      document.removeEventListener('visibilitychange', look)
      removeEventListener('online', look)
    }
  }, [key, everyMs])

  const isKnown = keepPrevious || known === key
  return {
    value: isKnown ? value : null,
    error: isKnown ? problem : null,
    refetch: () => void refetch(),
    setData(said) {
      turn.current++
      set({ known: key, value: said, problem: null })
    },
  }
}

/** What went wrong, in words. Who may no longer ask is sent to the door. What is no refusal is a fault of ours and rises. */
export function errorMessage(thrown: unknown): string {
  if (!(thrown instanceof RequestError)) throw thrown
  const { code } = thrown.failure
  if (code === 'UNAUTHENTICATED' || code === 'FORBIDDEN') onTokenRefused(thrown)
  return explain(thrown.failure)
}
