import { announce } from '../ui/announcer.tsx'
import { formatBytes, formatDuration, percent } from '../ui/format.ts'
import { IconButton } from '../ui/icon-button.tsx'
import { Check, Chevron, Cross, Files, Folder, Pause, Play, Retry } from '../ui/icons.tsx'
import { canRetry, files } from '../ui/messages.ts'
import { visible } from '../ui/visible.ts'
import { When } from '../ui/when.tsx'
import { ConfirmButton } from './confirm-button.tsx'
import { type Group, type Item, isOpenHere, totalsOf } from './items.ts'
import { ProgressBar } from './progress-bar.tsx'
import { uploads } from './upload-queue.ts'

interface GroupRowProps {
  group: Group
  isUnfolded: boolean
  toggle(): void
  /** The group may have more files that have not been loaded yet. */
  isPartial: boolean
}

/** One row with the totals of a folder, or of files that were added together. It unfolds into its files. */
export function GroupRow({ group, isUnfolded, toggle, isPartial }: GroupRowProps) {
  const sum = totalsOf(group.items)
  const name = groupName(group, isPartial)
  return (
    <>
      <span class="preview">
        {group.folder === null ? <Files /> : <Folder />}
        {sum.completed === sum.count && (
          <span class="done-mark">
            <Check />
          </span>
        )}
      </span>
      <div class="row-text">
        <button type="button" class="fold" aria-expanded={isUnfolded} onClick={toggle}>
          <bdi class="any-text" dir="auto">
            {name}
          </bdi>
          <Chevron />
        </button>
        <p class="facts">
          <Status group={group} isPartial={isPartial} />
        </p>
      </div>
      <div class="actions">
        <Actions items={group.items} name={name} />
      </div>
      {sum.open > 0 && <ProgressBar label={name} confirmed={sum.confirmed} size={sum.size} />}
    </>
  )
}

function groupName({ folder, items }: Group, isPartial: boolean): string {
  return folder === null ? files(items.length, isPartial) : visible(folder)
}

function Status({ group, isPartial }: { group: Group; isPartial: boolean }) {
  const { count, completed, failed, paused, open, size, confirmed, speed } = totalsOf(group.items)
  const total = `${count.toLocaleString()}${isPartial ? '+' : ''}`
  const state = open === 0 ? (failed < count ? 'completed' : 'failed') : paused === open ? 'paused' : 'sending'
  const isHere = group.items.some(isOpenHere)
  const isElsewhere = !isHere && group.items.some(({ sender }) => sender !== null)
  const isInTab = group.items.some(({ sender }) => sender === 'tab')
  return (
    <>
      <span class={`state is-${state}`}>
        {open === 0 && (completed === count ? 'Completed' : failed === count ? 'Failed' : `${completed} completed`)}
        {open > 0 && paused === open && 'Paused'}
        {open > 0 && paused < open && (isHere || isElsewhere ? 'Uploading' : 'Incomplete')}
        {isElsewhere && open > 0 && (isInTab ? ' in another tab' : ' on another device')}
      </span>
      {failed > 0 && completed + open > 0 && <span class="state is-failed">{failed.toLocaleString()} failed</span>}
      {(open > 0 || group.folder !== null) && (
        <span>
          {open > 0 && `${completed.toLocaleString()} of `}
          {total} {count === 1 ? 'file' : 'files'}
        </span>
      )}
      <span>
        {open > 0 && `${formatBytes(confirmed)} of `}
        {formatBytes(size)}
      </span>
      {open > 0 && <span>{percent(confirmed, size)} %</span>}
      {speed > 0 && <span>{formatBytes(speed)}/s</span>}
      {speed > 1 && <span>{formatDuration(((size - confirmed) / speed) * 1000)} left</span>}
      {open === 0 && <When at={new Date(group.at).toISOString()} />}
    </>
  )
}

function Actions({ items, name }: { items: Item[]; name: string }) {
  const open = items.filter(isOpenHere)
  const paused = open.filter(({ transfer }) => transfer!.state === 'paused')
  const running = open.filter(({ transfer }) => ['queued', 'sending', 'finishing'].includes(transfer!.state))
  const failed = items.filter(({ transfer }) => transfer?.state === 'failed')
  const retryable = failed.filter(({ transfer }) => canRetry(transfer!.failure))
  const each = (items: Item[], act: (id: string) => void) =>
    uploads.batchChanges(() => {
      for (const { transfer } of items) act(transfer!.id)
    })
  return (
    <>
      {running.length > 0 && (
        <IconButton label={`Pause ${name}`} onClick={() => each(running, uploads.pause)}>
          <Pause />
        </IconButton>
      )}
      {running.length === 0 && paused.length > 0 && (
        <IconButton label={`Resume ${name}`} onClick={() => each(paused, uploads.resume)}>
          <Play />
        </IconButton>
      )}
      {retryable.length > 0 && (
        <IconButton label={`Retry failed files of ${name}`} onClick={() => each(retryable, uploads.resume)}>
          <Retry />
        </IconButton>
      )}
      {open.length > 0 && (
        <ConfirmButton
          label={`Cancel ${name}`}
          question={`Cancel ${files(open.length)} of ${name}?`}
          confirmLabel={`Cancel ${files(open.length)}`}
          act={() => {
            each(open, (id) => void uploads.cancel(id).catch(() => {}))
            announce(`${files(open.length)} cancelled.`)
            return true
          }}
        >
          <Cross />
        </ConfirmButton>
      )}
      {open.length === 0 && failed.length > 0 && (
        <IconButton
          label={`Remove failed files of ${name} from this list`}
          onClick={() => each(failed, uploads.dismiss)}
        >
          <Cross />
        </IconButton>
      )}
    </>
  )
}
