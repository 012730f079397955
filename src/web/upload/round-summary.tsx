import { announce } from '../ui/announcer.tsx'
import { formatBytes, formatDuration, percent } from '../ui/format.ts'
import { canRetry, files } from '../ui/messages.ts'
import { ConfirmButton } from './confirm-button.tsx'
import { ProgressBar } from './progress-bar.tsx'
import { round, transfers, uploads } from './upload-queue.ts'

/** Totals of the transfers of this page, and actions on all of them. */
export function RoundSummary() {
  const { size, confirmed, speed, open, completed, failed, paused } = round.value
  if (open + completed + failed === 0) return null
  return (
    <section class="round" aria-label="Progress">
      <h3 class="round-title">{headline(open, completed, paused, failed)}</h3>
      {open > 0 && (
        <p class="facts quiet">
          <span>{percent(confirmed, size)} %</span>
          <span>
            {formatBytes(confirmed)} of {formatBytes(size)}
          </span>
          {speed > 0 && <span>{formatBytes(speed)}/s</span>}
          {speed > 1 && <span>{formatDuration(((size - confirmed) / speed) * 1000)} left</span>}
          {completed > 0 && <span>{completed.toLocaleString()} completed</span>}
          {failed > 0 && <span class="state is-failed">{failed.toLocaleString()} failed</span>}
        </p>
      )}
      <Actions />
      {open > 0 && <ProgressBar label="All files" confirmed={confirmed} size={size} />}
    </section>
  )
}

function headline(open: number, completed: number, paused: number, failed: number): string {
  if (open > 0) return open === paused ? `${files(open)} paused` : `Uploading ${files(open)}`
  if (completed === 0) return `${files(failed)} failed`
  return failed > 0 ? `${files(completed)} uploaded, ${failed.toLocaleString()} failed` : `${files(completed)} uploaded`
}

function Actions() {
  const all = transfers.value
  const running = all.filter(({ state }) => ['queued', 'sending', 'finishing', 'waiting'].includes(state))
  const paused = all.filter(({ state }) => state === 'paused')
  const open = all.filter(({ state }) => !['completed', 'failed', 'cancelled'].includes(state))
  const failed = all.filter(({ state }) => state === 'failed')
  const retryable = failed.filter(({ failure }) => canRetry(failure))
  const each = (selected: { id: string }[], act: (id: string) => void) =>
    uploads.batchChanges(() => {
      for (const { id } of selected) act(id)
    })
  return (
    <div class="choices">
      {running.length > 1 && (
        <button type="button" class="button is-quiet" onClick={() => each(running, uploads.pause)}>
          Pause all
        </button>
      )}
      {paused.length > 1 && (
        <button type="button" class="button is-quiet" onClick={() => each(paused, uploads.resume)}>
          Resume all
        </button>
      )}
      {retryable.length > 1 && (
        <button type="button" class="button is-quiet" onClick={() => each(retryable, uploads.resume)}>
          Retry all
        </button>
      )}
      {open.length > 1 && (
        <ConfirmButton
          label="Cancel all"
          question={`Cancel ${files(open.length)}?`}
          confirmLabel={`Cancel ${files(open.length)}`}
          cancelLabel="Keep uploading"
          act={() => {
            each(open, (id) => void uploads.cancel(id).catch(() => {}))
            announce(`${files(open.length)} cancelled.`)
            return true
          }}
        />
      )}
      {failed.length > 1 && open.length === 0 && (
        <button type="button" class="button is-quiet" onClick={() => each(failed, uploads.dismiss)}>
          Clear failed
        </button>
      )}
    </div>
  )
}
