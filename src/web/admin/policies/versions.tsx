import { useEffect, useState } from 'preact/hooks'
import type { CheckedPolicies, PolicyVersion } from '../../../contract/policies.ts'
import { More } from '../../ui/more.tsx'
import { visible } from '../../ui/visible.ts'
import { When } from '../../ui/when.tsx'
import { ConfirmDialog } from '../confirm-dialog.tsx'
import { usePages } from '../pages.ts'
import { Problem } from '../problem.tsx'
import { errorMessage } from '../query.ts'
import { admin } from '../session.ts'
import { ChangeNoteFields } from './change-note.tsx'
import { removedRoles } from './common-fields.ts'
import { Differences } from './differences.tsx'
import { RemovedRoles } from './removed-roles.tsx'

interface VersionsProps {
  current: PolicyVersion
  restored(change: { version: number; changedUploads: number }): void
}

/** The versions of the policies with author, time and note; each can be restored. */
export function Versions({ current, restored }: VersionsProps) {
  const pages = usePages(
    async (before) => {
      const { versions, next } = await admin.policyVersions(before as number | undefined)
      return { items: versions, next }
    },
    { key: String(current.version) },
  )
  const [chosen, setChosen] = useState<PolicyVersion | null>(null)
  return (
    <section class="part" aria-labelledby="versions-title">
      <h2 id="versions-title" tabIndex={-1}>
        Versions
      </h2>
      <Problem message={pages.error} retry={pages.refetch} />
      <ol class="rows">
        {pages.items?.map((version) => (
          <li key={version.version} class="row version-row" data-version={version.version}>
            <span class="version-number">{version.version}</span>
            <div class="row-text">
              <p class="any-text">
                {(version.note !== null && visible(version.note)) || <span class="quiet">no note</span>}
              </p>
              <p class="facts quiet">
                <span class="any-text">{visible(version.author)}</span>
                <When at={version.createdAt} />
              </p>
            </div>
            {version.version === current.version ? (
              <span class="state is-completed small">active</span>
            ) : (
              <button type="button" class="button is-quiet" onClick={() => setChosen(version)}>
                Restore<span class="visually-hidden"> version {version.version}</span>
              </button>
            )}
          </li>
        ))}
      </ol>
      <More has={pages.hasMore} show={pages.more} />
      {chosen && (
        <Restore
          current={current}
          version={chosen}
          restored={restored}
          close={() => {
            setChosen(null)
            document.getElementById('versions-title')?.focus()
          }}
        />
      )}
    </section>
  )
}

function Restore({ current, version, restored, close }: VersionsProps & { version: PolicyVersion; close(): void }) {
  const [changeNote, setChangeNote] = useState({ note: '', applyToActive: false })
  const [checked, setChecked] = useState<CheckedPolicies | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [confirmed, setConfirmed] = useState<ReadonlySet<string>>(new Set())
  const removed = removedRoles(current.policies, version.policies)
  const isConfirmed = removed.every((role) => confirmed.has(role))
  useEffect(() => {
    const abort = new AbortController()
    admin
      .checkPolicies(version.policies, abort.signal)
      .then(setChecked)
      .catch((thrown: unknown) => abort.signal.aborted || setProblem(errorMessage(thrown)))
    return () => abort.abort()
  }, [version])

  async function act(): Promise<void> {
    const note = changeNote.note.trim() || null
    restored(await admin.restorePolicies(current.version, version.version, { ...changeNote, note }))
  }

  return (
    <ConfirmDialog
      title={`Restore version ${version.version}?`}
      confirmLabel="Restore"
      isReady={isConfirmed}
      act={act}
      close={close}
    >
      <Problem message={problem} />
      {checked && <Differences differences={checked.differences} title="What would change" />}
      <RemovedRoles roles={removed} confirmed={confirmed} set={setConfirmed} />
      <ChangeNoteFields change={changeNote} set={setChangeNote} />
    </ConfirmDialog>
  )
}
