import { useEffect, useState } from 'preact/hooks'
import type { CheckedPolicies, PolicyVersion } from '../../../contract/policies.ts'
import { errorMessage } from '../query.ts'
import { admin } from '../session.ts'
import { readJson, writeJson } from './json.ts'

// Pause in typing before the server checks the draft.
const pauseMs = 250

/** An edited policy document, with the result of its check. */
export interface Draft {
  text: string
  setText(text: string): void
  /** Errors by field; `[]` when there are none, `null` while the server checks. */
  problems: string[] | null
  /** The server's result for exactly this text; `null` while there is none. */
  checked: CheckedPolicies | null
  /** The parsed text; `null` when it is not a JSON object. */
  json: Record<string, unknown> | null
  isChanged: boolean
  /** Discards the changes. */
  reset(): void
}

/** A draft that starts as the active policies and is checked while it is edited. */
export function useDraft(current: PolicyVersion): Draft {
  const [text, setText] = useState<string | null>(null)
  const [check, setCheck] = useState<{ checkKey: string; checked: CheckedPolicies | null; problems: string[] } | null>(
    null,
  )
  const activeText = writeJson(current.policies)
  const isChanged = text !== null && text !== activeText
  const shown = text ?? activeText
  const read = readJson(shown)
  // The differences are relative to the active version, so another active version needs another check.
  const checkKey = `${current.version} ${shown}`

  useEffect(() => {
    if (!isChanged || 'problem' in read) return
    const abort = new AbortController()
    const timer = setTimeout(() => void runCheck(read.json, abort.signal), pauseMs)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [checkKey, isChanged])

  async function runCheck(json: Record<string, unknown>, signal: AbortSignal): Promise<void> {
    try {
      const checked = await admin.checkPolicies(json, signal)
      setCheck({ checkKey, checked, problems: checked.problems })
    } catch (thrown) {
      if (!signal.aborted) setCheck({ checkKey, checked: null, problems: [errorMessage(thrown)] })
    }
  }

  const isChecked = isChanged && check?.checkKey === checkKey
  return {
    text: shown,
    setText,
    problems: 'problem' in read ? [read.problem] : isChecked ? check.problems : isChanged ? null : [],
    checked: isChecked ? check.checked : null,
    json: 'json' in read ? read.json : null,
    isChanged,
    reset: () => setText(null),
  }
}
