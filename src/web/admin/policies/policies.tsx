import { useState } from 'preact/hooks'
import { visible } from '../../upload/visible.ts'
import { When } from '../../upload/when.tsx'
import { useAnswer } from '../answer.ts'
import { Problem } from '../problem.tsx'
import { admin } from '../session.ts'
import { count } from '../words.ts'
import { Editor } from './editor.tsx'
import { RolesTable } from './roles-table.tsx'
import { Versions } from './versions.tsx'

/** Who may upload what: as it is, as it was, and as it shall be. */
export function Policies() {
  const answer = useAnswer(admin.policies)
  const [saved, setSaved] = useState<{ version: number; running: number } | null>(null)
  const current = answer.value

  function took(change: { version: number; running: number }): void {
    setSaved(change)
    answer.again()
  }

  return (
    <>
      <Problem words={answer.problem} again={answer.again} />
      {saved && (
        <p class="notice is-good" role="status">
          Version {saved.version} is active on every server.
          {saved.running > 0 &&
            ` ${count(saved.running, 'running upload')} ${saved.running === 1 ? 'has' : 'have'} new limits now.`}
        </p>
      )}
      {current && (
        <>
          <section class="part" aria-labelledby="holds-title">
            <div class="part-head">
              <h2 id="holds-title">Active policies</h2>
              <p class="quiet small any-text">
                Version {current.version}, by {visible(current.author)}, <When at={current.createdAt} />
              </p>
            </div>
            <RolesTable policies={current.policies} />
          </section>
          <Editor current={current} saved={took} refresh={answer.again} />
          <Versions current={current} restored={took} />
        </>
      )}
    </>
  )
}
