import { useEffect, useRef, useState } from 'preact/hooks'
import { Refusal } from '../../client/refusal.ts'
import { refused } from './session.ts'
import { explain } from './words.ts'

/** What the server said to a question, and what went wrong with the last try. */
export interface Answer<T> {
  /** The last answer, also when a later try went wrong; `null`: none yet. */
  value: T | null
  /** In words. */
  problem: string | null
  /** Asks again now. */
  again(): void
  /** Puts what is known better in the place of the answer. */
  put(value: T): void
}

export interface Asking {
  /** Another one is another question, whose answer begins empty. */
  about?: string
  /** What was known before is shown until there is an answer to the new question. */
  isPatient?: boolean
  /** Does not ask again by itself for now. */
  isResting?: boolean
  /** Asks again after so many milliseconds while somebody looks; not given: never. */
  everyMs?: number
}

/** Asks the server, and again as often as told. Who may no longer ask is sent to the door. */
export function useAnswer<T>(
  question: () => Promise<T>,
  { about = '', isPatient = false, isResting = false, everyMs }: Asking = {},
): Answer<T> {
  const [{ known, value, problem }, set] = useState<{ known: string; value: T | null; problem: string | null }>({
    known: about,
    value: null,
    problem: null,
  })
  const latest = useRef(question)
  latest.current = question
  const turn = useRef(0)
  const waiting = useRef(0)
  const rests = useRef(isResting)
  rests.current = isResting

  async function again(): Promise<void> {
    const mine = ++turn.current
    waiting.current++
    try {
      const said = await latest.current()
      if (mine === turn.current) set({ known: about, value: said, problem: null })
    } catch (thrown) {
      const words = readProblem(thrown)
      if (mine === turn.current)
        set((before) => ({
          known: about,
          value: isPatient || before.known === about ? before.value : null,
          problem: words,
        }))
    } finally {
      waiting.current--
    }
  }

  useEffect(() => {
    void again()
    if (everyMs === undefined) return () => void turn.current++
    // A server that answers slowly is not asked faster than it answers, and its answers count.
    const look = () => {
      if (document.visibilityState === 'visible' && waiting.current === 0 && !rests.current) void again()
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
  }, [about, everyMs])

  const isKnown = isPatient || known === about
  return {
    value: isKnown ? value : null,
    problem: isKnown ? problem : null,
    again: () => void again(),
    put(said) {
      turn.current++
      set({ known: about, value: said, problem: null })
    },
  }
}

/** What went wrong, in words. Who may no longer ask is sent to the door. What is no refusal is a fault of ours and rises. */
export function readProblem(thrown: unknown): string {
  if (!(thrown instanceof Refusal)) throw thrown
  const { code } = thrown.failure
  if (code === 'UNAUTHENTICATED' || code === 'FORBIDDEN') refused(thrown)
  return explain(thrown.failure)
}
