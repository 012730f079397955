import { useRef, useState } from 'preact/hooks'
import type { ListedUpload } from '../../client/api.ts'
import { isOver } from '../../client/transfer-view.ts'
import { announce } from './announcer.tsx'
import { ConfirmButton } from './confirm-button.tsx'
import { FileName } from './file-name.tsx'
import { IconButton } from './icon-button.tsx'
import { Again, Bin, Cross, Pause, Play } from './icons.tsx'
import { ItemStatus, keptWords, stateOf } from './item-status.tsx'
import type { Item } from './items.ts'
import { remove } from './list-store.ts'
import { canRetry } from './messages.ts'
import { Preview } from './preview.tsx'
import { ProgressBar } from './progress-bar.tsx'
import { resumeWithFile, uploads } from './upload-queue.ts'
import { visible } from './visible.ts'

/** One file of the list: what it is, how far it is, and what can be done with it. */
export function ItemRow({ item }: { item: Item }) {
  const { transfer, upload, size, name, folder } = item
  const state = stateOf(item)
  const isMoving = ['sending', 'finishing', 'waiting', 'unauthorized', 'paused', 'elsewhere', 'incomplete'].includes(
    state,
  )
  const confirmed = Math.max(item.confirmed, state === 'elsewhere' ? (upload?.offset ?? 0) : 0)
  return (
    <>
      <Preview
        file={transfer ? (transfer.file as File) : null}
        type={transfer?.file.type ?? upload?.contentType ?? ''}
        isDone={state === 'completed'}
      />
      <div class="row-words">
        <FileName name={name} />
        <p class="facts">
          {folder.includes('/') && (
            <bdi class="quiet any-text" dir="auto">
              {visible(folder)}
            </bdi>
          )}
          <ItemStatus item={item} />
        </p>
      </div>
      <div class="actions">
        <Actions item={item} />
      </div>
      {isMoving && size !== null && (
        <ProgressBar
          label={visible(name)}
          confirmed={confirmed}
          size={size}
          {...(state === 'sending' && { sent: transfer!.sent })}
        />
      )}
      {state === 'incomplete' && size !== null && <GoOn upload={upload!} />}
    </>
  )
}

function Actions({ item }: { item: Item }) {
  const { transfer, id } = item
  const name = visible(item.name)
  const state = stateOf(item)

  function cancel(): void {
    announce(`${name}: upload cancelled.`)
    // Should the server not hear of it, the upload stays in the list, where it can be deleted.
    void uploads.cancel(transfer!.id).catch(() => {})
  }

  return (
    <>
      {transfer && ['sending', 'finishing', 'queued'].includes(state) && (
        <IconButton label={`Pause ${name}`} onClick={() => uploads.pause(transfer.id)}>
          <Pause />
        </IconButton>
      )}
      {transfer && state === 'paused' && (
        <IconButton label={`Resume ${name}`} onClick={() => uploads.resume(transfer.id)}>
          <Play />
        </IconButton>
      )}
      {transfer && (state === 'waiting' || (state === 'failed' && canRetry(transfer.failure))) && (
        <IconButton label={`Retry ${name}`} onClick={() => uploads.resume(transfer.id)}>
          <Again />
        </IconButton>
      )}
      {transfer && state === 'elsewhere' && transfer.sender === 'device' && (
        <button type="button" class="button is-quiet" onClick={() => uploads.takeOver(transfer.id)}>
          Upload from here<span class="unseen"> {name}</span>
        </button>
      )}
      {transfer && !isOver(transfer.state) && (
        <IconButton label={`${state === 'elsewhere' ? 'Stop waiting for' : 'Cancel'} ${name}`} onClick={cancel}>
          <Cross />
        </IconButton>
      )}
      {transfer?.state === 'failed' && (
        <IconButton label={`Remove ${name} from this list`} onClick={() => uploads.dismiss(transfer.id)}>
          <Cross />
        </IconButton>
      )}
      {id !== null && (state === 'completed' || state === 'incomplete') && (
        <ConfirmButton
          label={`Delete ${name}`}
          question={`Delete ${name} for good?`}
          verb="Delete"
          act={async () => {
            if (!(await remove(id))) return false
            if (transfer) uploads.dismiss(transfer.id)
            announce(`${name} was deleted.`)
            return true
          }}
        >
          <Bin />
        </ConfirmButton>
      )}
    </>
  )
}

/** An upload that was left takes its file, dropped on it or chosen, and goes on. */
function GoOn({ upload }: { upload: ListedUpload }) {
  const input = useRef<HTMLInputElement>(null)
  const [isOver, setOver] = useState(false)
  const [complaint, setComplaint] = useState<string | null>(null)

  function take(file: File | undefined): void {
    if (file) setComplaint(resumeWithFile(upload, file))
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is a second way; the button beside it does the same
    <div
      class={`go-on ${isOver ? 'is-over' : ''}`}
      onDragOver={() => setOver(true)}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault()
        setOver(false)
        take(event.dataTransfer?.files[0])
      }}
    >
      <span>
        Choose the same file again to resume<span class="quiet">{keptWords(upload.expiresAt)}</span>
      </span>
      <button type="button" class="button" onClick={() => input.current?.click()}>
        Choose the file<span class="unseen"> {visible(upload.filename)}</span>
      </button>
      <input
        ref={input}
        type="file"
        hidden
        onChange={(event) => {
          take(event.currentTarget.files?.[0])
          event.currentTarget.value = ''
        }}
      />
      {complaint && (
        <p class="notice is-bad" role="alert">
          {complaint}
        </p>
      )}
    </div>
  )
}
