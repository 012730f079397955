import { useId, useRef, useState } from 'preact/hooks'
import type { PolicyVersion } from '../../../client/admin-types.ts'
import { RequestError } from '../../../client/request-error.ts'
import { announce } from '../../upload/announcer.tsx'
import { Problem } from '../problem.tsx'
import { errorMessage } from '../query.ts'
import { admin } from '../session.ts'
import { ChangeNoteFields } from './change-note.tsx'
import { CodeField } from './code-field.tsx'
import { removedRoles } from './common-fields.ts'
import { Differences } from './differences.tsx'
import { useDraft } from './draft.ts'
import { placeOf, writeJson } from './json.ts'
import { RemovedRoles } from './removed-roles.tsx'
import { RoleForm } from './role-form.tsx'

interface EditorProps {
  current: PolicyVersion
  saved(change: { version: number; changedUploads: number }): void
  /** Asks which version holds now. */
  refresh(): void
}

/** The policies as text, checked while it is written. Before it is saved one sees what would change. */
export function Editor({ current, saved, refresh }: EditorProps) {
  const draft = useDraft(current)
  const [remark, setRemark] = useState({ note: '', applyToActive: false })
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
      const note = remark.note.trim() || null
      const { version, changedUploads } = await admin.changePolicies(current.version, draft.json, { ...remark, note })
      announce(`Version ${version} is saved.`)
      draft.reset()
      setRemark({ note: '', applyToActive: false })
      setConfirmed(new Set())
      saved({ version, changedUploads })
    } catch (thrown) {
      const isOutrun = thrown instanceof RequestError && thrown.failure.code === 'PRECONDITION_FAILED'
      const words = errorMessage(thrown)
      setProblem(isOutrun ? `${words} Your text is kept: check below what it would change now, and save again.` : words)
      if (isOutrun) refresh()
    }
    setBusy(false)
  }

  function show(words: string): void {
    const at = placeOf(draft.text, words)
    if (at < 0 || !field.current) return
    field.current.focus()
    field.current.setSelectionRange(at, draft.text.indexOf('\n', at))
  }

  return (
    <section class="part" aria-labelledby={`${id}-title`}>
      <div class="part-head">
        <h2 id={`${id}-title`}>Edit policies</h2>
        <p class="quiet small" role="status">
          {!draft.isChanged && 'Sizes as "10 GiB", times as "7 days"; null is no limit.'}
          {draft.isChanged && problems === null && 'Checking …'}
          {draft.isChanged && problems?.length === 0 && 'This can be saved.'}
          {problems !== null && problems.length > 0 && 'This cannot be saved yet.'}
        </p>
      </div>
      {draft.json && <RoleForm policies={draft.json} change={(policies) => draft.write(writeJson(policies))} />}
      <div class={`editor ${draft.isChanged ? 'is-changed' : ''}`}>
        <CodeField
          field={field}
          label="Policies as JSON"
          text={draft.text}
          write={draft.write}
          isInvalid={problems !== null && problems.length > 0}
          describedBy={`${id}-problems`}
        />
        <div class="editor-side">
          <ul id={`${id}-problems`} class="faults">
            {problems?.map((words) => (
              <li key={words}>
                <button type="button" class="fault any-text" onClick={() => show(words)}>
                  {words}
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
          <Problem words={problem} />
          {draft.isChanged && (
            <>
              {canBeSaved && <RemovedRoles roles={removed} confirmed={confirmed} set={setConfirmed} />}
              {canBeSaved && <ChangeNoteFields remark={remark} set={setRemark} />}
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
