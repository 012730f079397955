import { useState } from 'preact/hooks'
import { visible } from '../../ui/visible.ts'
import { When } from '../../ui/when.tsx'
import { count } from '../messages.ts'
import { Problem } from '../problem.tsx'
import { useQuery } from '../query.ts'
import { admin } from '../session.ts'
import { Editor } from './editor.tsx'
import { RolesTable } from './roles-table.tsx'
import { Versions } from './versions.tsx'

/** The active policies, their editor and their earlier versions. */
export function Policies() {
  const query = useQuery(admin.policies)
  const [saved, setSaved] = useState<{ version: number; changedUploads: number } | null>(null)
  const current = query.value

  function onSaved(change: { version: number; changedUploads: number }): void {
    setSaved(change)
    query.refetch()
  }

  return (
    <>
      <Problem message={query.error} retry={query.refetch} />
      {saved && (
        <p class="notice is-good" role="status">
          Version {saved.version} is active on every server.
          {saved.changedUploads > 0 &&
            ` ${count(saved.changedUploads, 'running upload')} ${saved.changedUploads === 1 ? 'has' : 'have'} new limits now.`}
        </p>
      )}
      {current && (
        <>
          <section class="part" aria-labelledby="active-title">
            <div class="part-head">
              <h2 id="active-title">Active policies</h2>
              <p class="quiet small any-text">
                Version {current.version}, by {visible(current.author)}, <When at={current.createdAt} />
              </p>
            </div>
            <RolesTable policies={current.policies} />
          </section>
          <Editor current={current} saved={onSaved} refresh={query.refetch} />
          <Versions current={current} restored={onSaved} />
        </>
      )}
    </>
  )
}
