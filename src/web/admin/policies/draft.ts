import { useEffect, useState } from 'preact/hooks'
import type { CheckedPolicies, PolicyVersion } from '../../../client/admin-types.ts'
import { errorMessage } from '../query.ts'
import { admin } from '../session.ts'
import { readJson, writeJson } from './json.ts'

// The typing rests for so long before the server is asked.
const restMs = 250

/** What somebody is writing, and what the server says to it. */
export interface Draft {
  text: string
  write(text: string): void
  /** What is wrong with it, by place; `[]` when nothing is, `null` while that is being asked. */
  problems: string[] | null
  /** The server's word on this very text; `null` while there is none. */
  checked: CheckedPolicies | null
  /** What it says now, when it says anything that can be saved. */
  json: Record<string, unknown> | null
  isChanged: boolean
  /** Begins again with what holds. */
  reset(): void
}

/** A text that begins as what holds, and is checked as it is written. */
export function useDraft(current: PolicyVersion): Draft {
  const [text, setText] = useState<string | null>(null)
  const [check, setCheck] = useState<{ about: string; checked: CheckedPolicies | null; problems: string[] } | null>(
    null,
  )
  const written = writeJson(current.policies)
  const isChanged = text !== null && text !== written
  const shown = text ?? written
  const read = readJson(shown)
  // What differs is what differs from the version that holds, so another version is another question.
  const about = `${current.version} ${shown}`

  useEffect(() => {
    if (!isChanged || 'problem' in read) return
    const leave = new AbortController()
    const resting = setTimeout(() => void look(read.json, leave.signal), restMs)
    return () => {
      clearTimeout(resting)
      leave.abort()
    }
  }, [about, isChanged])

  async function look(json: Record<string, unknown>, signal: AbortSignal): Promise<void> {
    try {
      const checked = await admin.checkPolicies(json, signal)
      setCheck({ about, checked, problems: checked.problems })
    } catch (thrown) {
      if (!signal.aborted) setCheck({ about, checked: null, problems: [errorMessage(thrown)] })
    }
  }

  const isAnswered = isChanged && check?.about === about
  return {
    text: shown,
    write: setText,
    problems: 'problem' in read ? [read.problem] : isAnswered ? check.problems : isChanged ? null : [],
    checked: isAnswered ? check.checked : null,
    json: 'json' in read ? read.json : null,
    isChanged,
    reset: () => setText(null),
  }
}
