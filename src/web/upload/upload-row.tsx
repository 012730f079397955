import { useRef, useState } from 'preact/hooks'
import type { ListedUpload } from '../../client/api.ts'
import { say } from './announcer.tsx'
import { FileName } from './file-name.tsx'
import { formatDate } from './format.ts'
import { Copy, TypeIcon } from './icons.tsx'
import { goOn } from './outbox.ts'
import { Remove } from './remove-upload.tsx'
import { When } from './when.tsx'
import { amountWords } from './words.ts'

const stateWords: Record<ListedUpload['state'], string> = {
  receiving: 'Unfinished',
  finishing: 'Finishing',
  completed: 'Arrived',
  cancelled: 'Cancelled',
  expired: 'Expired',
  failed: 'Failed',
}

/** One upload as the server has it. An unfinished one takes its file, dropped or chosen, and goes on. */
export function UploadRow({ upload }: { upload: ListedUpload }) {
  const [isOver, setOver] = useState(false)
  const [complaint, setComplaint] = useState<string | null>(null)
  const isUnfinished = upload.state === 'receiving' && upload.size !== null

  function take(file: File | undefined): void {
    if (file) setComplaint(goOn(upload, file))
  }

  const drop = isUnfinished && {
    onDragOver: () => setOver(true),
    onDragLeave: () => setOver(false),
    onDrop: (event: DragEvent) => {
      event.preventDefault()
      setOver(false)
      take(event.dataTransfer?.files[0])
    },
  }

  return (
    <li class={`row is-${upload.state} ${isOver ? 'is-over' : ''}`} data-state={upload.state} {...drop}>
      <span class="preview">
        <TypeIcon type={upload.contentType} />
      </span>
      <div class="row-words">
        <FileName name={upload.filename} />
        <p class="facts quiet">
          <span class={`state is-${upload.state}`}>{stateWords[upload.state]}</span>
          <span>{amountWords(upload, upload.offset)}</span>
          <When at={upload.completedAt ?? upload.createdAt} />
          {upload.failure && <span>{upload.failure}</span>}
        </p>
        {upload.state === 'completed' && <ObjectKey objectKey={upload.key} />}
      </div>
      {(upload.state === 'completed' || upload.state === 'receiving') && <Remove upload={upload} />}
      {isUnfinished && <GoOn upload={upload} take={take} />}
      {complaint && (
        <p class="notice is-bad" role="alert">
          {complaint}
        </p>
      )}
    </li>
  )
}

function GoOn({ upload, take }: { upload: ListedUpload; take: (file: File | undefined) => void }) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <div class="go-on">
      <span>
        Drop this file again to go on
        {upload.expiresAt && <span class="quiet">, kept until {formatDate(upload.expiresAt)}</span>}
      </span>
      <button type="button" class="button" onClick={() => input.current?.click()}>
        Choose the file<span class="unseen"> {upload.filename}</span>
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
    </div>
  )
}

function ObjectKey({ objectKey }: { objectKey: string }) {
  const [isCopied, setCopied] = useState(false)

  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(objectKey)
    say('The key is copied.')
    setCopied(true)
    setTimeout(() => setCopied(false), 1500)
  }

  return (
    <p class="key">
      <code title={objectKey}>{objectKey}</code>
      {/* Only a secure page may write to the clipboard. */}
      {'clipboard' in navigator && (
        <button
          type="button"
          class="icon-button is-tiny"
          aria-label="Copy the key"
          title="Copy the key"
          onClick={() => void copy()}
        >
          {isCopied ? <span class="copied">Copied</span> : <Copy />}
        </button>
      )}
    </p>
  )
}
