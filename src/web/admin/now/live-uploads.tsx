import { useState } from 'preact/hooks'
import { timeLeft } from '../../../client/speed.ts'
import type { AnyUpload } from '../../../contract/admin-uploads.ts'
import { formatBytes, formatDuration, percent } from '../../ui/format.ts'
import { IconButton } from '../../ui/icon-button.tsx'
import { Cross } from '../../ui/icons.tsx'
import { visible } from '../../ui/visible.ts'
import { nameOf } from '../messages.ts'
import type { QueryState } from '../query.ts'
import { AdminActionDialog } from '../uploads/admin-action.tsx'
import { RowHead } from '../uploads/row-head.tsx'

/** The uploads that clients are sending right now, to all servers. */
export function LiveUploads(props: {
  query: QueryState<{ uploads: AnyUpload[]; next: string | null }>
  speedOf(id: string): number | null
  isConnected: boolean
}) {
  const { query, speedOf, isConnected } = props
  const [cancelling, setCancelling] = useState<AnyUpload | null>(null)
  const uploads = query.value?.uploads ?? null

  return (
    <section class="part" aria-labelledby="live-title">
      <div class="part-head">
        <h2 id="live-title" tabIndex={-1}>
          Uploading now
        </h2>
        <span class={`pulse ${isConnected ? 'is-connected' : ''}`}>{isConnected ? 'live' : 'every 2 s'}</span>
      </div>
      {uploads?.length === 0 && <p class="empty quiet">No uploads are running.</p>}
      {uploads && uploads.length > 0 && (
        <ul class="rows">
          {uploads.map((upload) => (
            <LiveRow key={upload.id} upload={upload} speed={speedOf(upload.id)} cancel={() => setCancelling(upload)} />
          ))}
        </ul>
      )}
      {query.value?.next && <p class="quiet small">Only the newest hundred are shown.</p>}
      {cancelling && (
        <AdminActionDialog
          upload={cancelling}
          action="cancel"
          done={query.refetch}
          close={() => {
            setCancelling(null)
            document.getElementById('live-title')?.focus()
          }}
        />
      )}
    </section>
  )
}

function LiveRow({ upload, speed, cancel }: { upload: AnyUpload; speed: number | null; cancel: () => void }) {
  const { id, filename, size, received, state } = upload
  const left = size === null ? null : timeLeft(size - received, speed)
  return (
    <li class="row live-row" data-id={id} data-state={state}>
      <RowHead upload={upload}>
        <span class="any-text">{nameOf(upload)}</span>
        <span>{upload.role}</span>
        <span>
          {formatBytes(received)}
          {size === null ? ' so far' : ` of ${formatBytes(size)}`}
        </span>
        {state === 'finishing' ? (
          <span>Finishing</span>
        ) : (
          <>
            {speed !== null && <span class="speed">{formatBytes(speed)}/s</span>}
            {left !== null && <span>{formatDuration(left)} left</span>}
          </>
        )}
      </RowHead>
      <span class="live-percent">{size === null ? '' : `${percent(received, size)} %`}</span>
      <IconButton label={`Cancel ${visible(filename)}`} onClick={cancel}>
        <Cross />
      </IconButton>
      <progress
        class="line"
        aria-label={visible(filename)}
        {...(size !== null && { value: received, max: Math.max(size, 1) })}
        aria-valuetext={size === null ? formatBytes(received) : `${percent(received, size)} percent`}
      />
    </li>
  )
}
