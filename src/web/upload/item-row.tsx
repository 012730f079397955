import { useRef, useState } from 'preact/hooks'
import { isOver } from '../../client/transfer-view.ts'
import type { OwnUpload } from '../../contract/upload.ts'
import { announce } from '../ui/announcer.tsx'
import { FileName } from '../ui/file-name.tsx'
import { IconButton } from '../ui/icon-button.tsx'
import { Bin, Cross, Pause, Play, Retry } from '../ui/icons.tsx'
import { canRetry } from '../ui/messages.ts'
import { visible } from '../ui/visible.ts'
import { ConfirmButton } from './confirm-button.tsx'
import { expiryText, ItemStatus, stateOf } from './item-status.tsx'
import type { Item } from './items.ts'
import { remove } from './list-store.ts'
import { Preview } from './preview.tsx'
import { ProgressBar } from './progress-bar.tsx'
import { resumeWithFile, uploads } from './upload-queue.ts'

/** One file of the list with its progress and actions. */
export function ItemRow({ item }: { item: Item }) {
  const { transfer, upload, size, name, folder } = item
  const state = stateOf(item)
  const hasProgress = ['sending', 'finishing', 'waiting', 'unauthorized', 'paused', 'elsewhere', 'incomplete'].includes(
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
      <div class="row-text">
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
      {hasProgress && size !== null && (
        <ProgressBar
          label={visible(name)}
          confirmed={confirmed}
          size={size}
          {...(state === 'sending' && { sent: transfer!.sent })}
        />
      )}
      {state === 'incomplete' && size !== null && <ResumeForm upload={upload!} />}
    </>
  )
}

function Actions({ item }: { item: Item }) {
  const { transfer, id } = item
  const name = visible(item.name)
  const state = stateOf(item)

  function cancel(): void {
    announce(`${name}: upload cancelled.`)
    // If the request fails, the upload stays in the list, where it can be deleted.
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
          <Retry />
        </IconButton>
      )}
      {transfer && state === 'elsewhere' && transfer.sender === 'device' && (
        <button type="button" class="button is-quiet" onClick={() => uploads.takeOver(transfer.id)}>
          Upload from here<span class="visually-hidden"> {name}</span>
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
          confirmLabel="Delete"
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

/** Resumes an incomplete upload with its file, which is chosen or dropped here. */
function ResumeForm({ upload }: { upload: OwnUpload }) {
  const input = useRef<HTMLInputElement>(null)
  const [isOver, setOver] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)

  function take(file: File | undefined): void {
    if (file) setProblem(resumeWithFile(upload, file))
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button inside does the same as dropping a file
    <div
      class={`resume-form ${isOver ? 'is-over' : ''}`}
      onDragOver={() => setOver(true)}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault()
        setOver(false)
        take(event.dataTransfer?.files[0])
      }}
    >
      <span>
        Choose the same file again to resume<span class="quiet">{expiryText(upload.expiresAt)}</span>
      </span>
      <button type="button" class="button" onClick={() => input.current?.click()}>
        Choose the file<span class="visually-hidden"> {visible(upload.filename)}</span>
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
      {problem && (
        <p class="notice is-bad" role="alert">
          {problem}
        </p>
      )}
    </div>
  )
}
