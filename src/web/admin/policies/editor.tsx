import { useId, useRef, useState } from 'preact/hooks'
import { RequestError } from '../../../client/request-error.ts'
import type { PolicyVersion } from '../../../contract/policies.ts'
import { announce } from '../../ui/announcer.tsx'
import { Problem } from '../problem.tsx'
import { errorMessage } from '../query.ts'
import { admin } from '../session.ts'
import { ChangeNoteFields } from './change-note.tsx'
import { CodeField } from './code-field.tsx'
import { removedRoles } from './common-fields.ts'
import { Differences } from './differences.tsx'
import { useDraft } from './draft.ts'
import { positionOf, writeJson } from './json.ts'
import { RemovedRoles } from './removed-roles.tsx'
import { RoleForm } from './role-form.tsx'

interface EditorProps {
  current: PolicyVersion
  saved(change: { version: number; changedUploads: number }): void
  /** Loads the active version. */
  refresh(): void
}

/** Edits the policies as text. The server checks the text while it is edited and lists what would change. */
export function Editor({ current, saved, refresh }: EditorProps) {
  const draft = useDraft(current)
  const [changeNote, setChangeNote] = useState({ note: '', applyToActive: false })
  const [problem, setProblem] = useState<string | null>(null)
  const [confirmed, setConfirmed] = useState<ReadonlySet<string>>(new Set())
  const [isBusy, setBusy] = useState(false)
  const field = useRef<HTMLTextAreaElement>(null)
  const id = useId()
  const { problems, checked } = draft
  const removed = draft.json ? removedRoles(current.policies, draft.json) : []
  const isConfirmed = removed.every((role) => confirmed.has(role))
  const canBeSaved = checked !== null && checked.policies !== null && checked.differences.length > 0
  const maySave = canBeSaved && isConfirmed && !isBusy

  async function save(): Promise<void> {
    if (!draft.json || !isConfirmed) return
    setBusy(true)
    setProblem(null)
    try {
      const note = changeNote.note.trim() || null
      const { version, changedUploads } = await admin.changePolicies(current.version, draft.json, {
        ...changeNote,
        note,
      })
      announce(`Version ${version} was saved.`)
      draft.reset()
      setChangeNote({ note: '', applyToActive: false })
      setConfirmed(new Set())
      saved({ version, changedUploads })
    } catch (thrown) {
      const isConflict = thrown instanceof RequestError && thrown.failure.code === 'PRECONDITION_FAILED'
      const message = errorMessage(thrown)
      setProblem(
        isConflict
          ? 'The policies were changed in the meantime. Your text is kept: review below what it would change now, and save again.'
          : message,
      )
      if (isConflict) refresh()
    }
    setBusy(false)
  }

  function show(problemText: string): void {
    const at = positionOf(draft.text, problemText)
    if (at < 0 || !field.current) return
    field.current.focus()
    field.current.setSelectionRange(at, draft.text.indexOf('\n', at))
  }

  return (
    <section class="part" aria-labelledby={`${id}-title`}>
      <div class="part-head">
        <h2 id={`${id}-title`}>Edit policies</h2>
        <p class="quiet small" role="status">
          {!draft.isChanged && 'Sizes such as "10 GiB", times such as "7 days"; null means no limit.'}
          {draft.isChanged && problems === null && 'Checking …'}
          {draft.isChanged && problems?.length === 0 && 'This can be saved.'}
          {problems !== null && problems.length > 0 && 'This cannot be saved yet.'}
        </p>
      </div>
      {draft.json && <RoleForm policies={draft.json} change={(policies) => draft.setText(writeJson(policies))} />}
      <div class={`editor ${draft.isChanged ? 'is-changed' : ''}`}>
        <CodeField
          field={field}
          label="Policies as JSON"
          text={draft.text}
          setText={draft.setText}
          isInvalid={problems !== null && problems.length > 0}
          describedBy={`${id}-problems`}
        />
        <div class="editor-side">
          <ul id={`${id}-problems`} class="problems">
            {problems?.map((text) => (
              <li key={text}>
                <button type="button" class="problem any-text" onClick={() => show(text)}>
                  {text}
                </button>
              </li>
            ))}
          </ul>
          {checked?.policies && (
            <Differences
              differences={checked.differences}
              title={`What would change from version ${checked.version}`}
            />
          )}
          <Problem message={problem} />
          {draft.isChanged && (
            <>
              {canBeSaved && <RemovedRoles roles={removed} confirmed={confirmed} set={setConfirmed} />}
              {canBeSaved && <ChangeNoteFields change={changeNote} set={setChangeNote} />}
              <div class="choices">
                <button type="button" class="button" disabled={!maySave} onClick={() => void save()}>
                  Save as version {current.version + 1}
                </button>
                <button type="button" class="button is-quiet" onClick={draft.reset}>
                  Discard changes
                </button>
              </div>
            </>
          )}
        </div>
      </div>
    </section>
  )
}
