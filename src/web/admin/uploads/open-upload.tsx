import { useState } from 'preact/hooks'
import type { AdminAction, UploadDetails } from '../../../contract/admin-uploads.ts'
import { TypeIcon } from '../../ui/icons.tsx'
import { amountText, stateText } from '../../ui/messages.ts'
import { visible } from '../../ui/visible.ts'
import { Back } from '../icons.tsx'
import { failureText } from '../messages.ts'
import { Problem } from '../problem.tsx'
import { useQuery } from '../query.ts'
import { hrefOf } from '../route.ts'
import { admin } from '../session.ts'
import { AdminActionDialog, actionLabel, actionsFor } from './admin-action.tsx'
import { Facts } from './facts.tsx'
import { Timeline } from './timeline.tsx'

/** One upload: its details, its timeline and the admin actions. */
export function OpenUpload({ id }: { id: string }) {
  const query = useQuery(() => admin.upload(id), { key: id, everyMs: 3000 })
  const [action, setAction] = useState<AdminAction | null>(null)
  const details = query.value
  return (
    <article class="part">
      <a class="back" href={hrefOf('uploads')}>
        <Back /> All uploads
      </a>
      <Problem message={query.error} retry={query.refetch} />
      {details && (
        <>
          <Head upload={details.upload} act={setAction} />
          <div class="columns">
            <Timeline timeline={details.timeline} />
            <Facts upload={details.upload} />
          </div>
          {action && (
            <AdminActionDialog
              upload={details.upload}
              action={action}
              done={query.setData}
              close={() => {
                setAction(null)
                document.getElementById('upload-title')?.focus()
              }}
            />
          )}
        </>
      )}
    </article>
  )
}

function Head({ upload, act }: { upload: UploadDetails; act: (action: AdminAction) => void }) {
  const { state, size, received, filename, live } = upload
  const isOpen = state === 'receiving' || state === 'finishing'
  return (
    <div class="upload-head">
      <span class="preview">
        <TypeIcon type={upload.contentType} />
      </span>
      <div class="row-text">
        <h2 id="upload-title" tabIndex={-1} class="any-text" dir="auto">
          {visible(filename)}
        </h2>
        <p class="facts quiet">
          <span class={`state is-${state}`}>{state === 'receiving' && !live ? 'Incomplete' : stateText[state]}</span>
          <span>{amountText(upload, received)}</span>
          {upload.failure && <span>{failureText(upload.failure)}</span>}
        </p>
      </div>
      <div class="choices">
        {actionsFor(upload).map((action) => (
          <button
            key={action}
            type="button"
            class={`button is-quiet ${action === 'cancel' ? 'has-bad' : ''}`}
            onClick={() => act(action)}
          >
            {actionLabel(action, upload)}
          </button>
        ))}
      </div>
      {isOpen && size !== null && (
        <progress class="line" value={received} max={Math.max(size, 1)} aria-label="Confirmed" />
      )}
    </div>
  )
}
