import { useEffect, useState } from 'preact/hooks'
import type { TransferView } from '../../client/transfer-view.ts'
import { say } from './announcer.tsx'
import { FileName } from './file-name.tsx'
import { formatBytes, formatDuration, percent } from './format.ts'
import { IconButton } from './icon-button.tsx'
import { Again, Alert, Check, Clock, Cloud, Cross, Key, Pause, Play, TypeIcon } from './icons.tsx'
import { uploads } from './outbox.ts'
import { explain, explainFile, mayHelpToRetry } from './words.ts'

/** One file on its way. */
export function TransferCard({ transfer }: { transfer: TransferView }) {
  const { id, file, state, sent } = transfer
  const name = file.name
  const isDone = state === 'completed'
  const isOpen = !isDone && state !== 'failed'
  const canRetry = state === 'waiting' || (state === 'failed' && mayHelpToRetry(transfer.failure))

  async function cancel(): Promise<void> {
    say(`${name} is cancelled.`)
    // Should the server not hear of it, the upload stays in the list below, where it can be deleted.
    await uploads.cancel(id).catch(() => {})
  }

  return (
    <li class={`card is-${state}`} data-state={state}>
      <Preview file={file as File} isDone={isDone} />
      <div class="card-words">
        <FileName name={name} />
        <p class="status">
          <Status transfer={transfer} />
        </p>
      </div>
      <div class="actions">
        {(state === 'sending' || state === 'finishing' || state === 'queued') && (
          <IconButton label={`Pause ${name}`} onClick={() => uploads.pause(id)}>
            <Pause />
          </IconButton>
        )}
        {state === 'paused' && (
          <IconButton label={`Resume ${name}`} onClick={() => uploads.resume(id)}>
            <Play />
          </IconButton>
        )}
        {canRetry && (
          <IconButton label={`Retry ${name}`} onClick={() => uploads.resume(id)}>
            <Again />
          </IconButton>
        )}
        {isOpen ? (
          <IconButton label={`Cancel ${name}`} onClick={() => void cancel()}>
            <Cross />
          </IconButton>
        ) : (
          <IconButton label={`Clear ${name} from this list`} onClick={() => uploads.dismiss(id)}>
            <Cross />
          </IconButton>
        )}
      </div>
      {isOpen && (
        <progress
          class="line"
          value={sent}
          max={Math.max(file.size, 1)}
          aria-label={name}
          aria-valuetext={`${percent(sent, file.size)} percent`}
        />
      )}
    </li>
  )
}

function Status({ transfer }: { transfer: TransferView }) {
  const { state, file, sent, speed, timeLeftMs, resumedAt } = transfer
  const amount = `${formatBytes(sent)} of ${formatBytes(file.size)}`
  switch (state) {
    case 'queued':
      return (
        <>
          <Clock /> <span>Waits for its turn</span>
          <span>{formatBytes(file.size)}</span>
        </>
      )
    case 'sending':
      return (
        <>
          <span>{percent(sent, file.size)} %</span>
          <span>{amount}</span>
          {speed !== null && <span>{formatBytes(speed)}/s</span>}
          {timeLeftMs !== null && <span>{formatDuration(timeLeftMs)} left</span>}
          {resumedAt > 0 && <span class="note">went on at {formatBytes(resumedAt)}</span>}
          {transfer.isAnew && <span class="note">the earlier part had expired, so from the start</span>}
        </>
      )
    case 'finishing':
      return <span>Everything is sent; the server is putting it away …</span>
    case 'waiting':
      return <Waiting transfer={transfer} />
    case 'unauthorized':
      return (
        <>
          <Key /> <span>Waits for a token, then goes on at {formatBytes(sent)}</span>
        </>
      )
    case 'paused':
      return (
        <>
          <Pause /> <span>Paused</span> <span>{amount}</span>
        </>
      )
    case 'completed':
      return (
        <>
          <span>Arrived</span>
          <span>{formatBytes(file.size)}</span>
          {transfer.tookMs !== null && <span>in {formatDuration(transfer.tookMs)}</span>}
          {resumedAt > 0 && <span class="note">went on at {formatBytes(resumedAt)}</span>}
        </>
      )
    case 'failed':
      return (
        <>
          <Alert /> <span>{explainFile(transfer)}</span>
        </>
      )
    case 'cancelled':
      return <span>Cancelled</span>
  }
}

function Waiting({ transfer }: { transfer: TransferView }) {
  const { retryAt, failure, sent, file } = transfer
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const ticking = setInterval(() => setNow(Date.now()), 500)
    return () => clearInterval(ticking)
  }, [])
  const isNetwork = failure?.code === 'NO_ANSWER' || failure === null
  const left = retryAt === null ? null : Math.ceil((retryAt - now) / 1000)
  return (
    <>
      <Cloud />
      <span>
        {isNetwork ? 'Waiting for the network, resuming by itself' : `${explain(failure)} It goes on by itself`}
        {left !== null && left > 0 && <span class="note"> · next try in {left} s</span>}
      </span>
      <span>
        {formatBytes(sent)} of {formatBytes(file.size)}
      </span>
    </>
  )
}

/** A decoded photograph takes much memory, so only files up to this size are shown. */
const previewLimit = 30 * 1024 ** 2

function Preview({ file, isDone }: { file: File; isDone: boolean }) {
  const [url, setUrl] = useState<string | null>(null)
  useEffect(() => {
    if (!/^image\/(png|jpeg|gif|webp|avif|bmp)$/.test(file.type) || file.size > previewLimit) return
    const made = URL.createObjectURL(file)
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [file])
  return (
    <span class="preview">
      {url ? (
        <img src={url} alt="" width="48" height="48" decoding="async" onError={() => setUrl(null)} />
      ) : (
        <TypeIcon type={file.type} />
      )}
      {isDone && (
        <span class="done-mark">
          <Check />
        </span>
      )}
    </span>
  )
}
