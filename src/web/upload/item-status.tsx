import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { TransferView } from '../../client/transfer-view.ts'
import { formatBytes, formatDate, formatDuration, percent } from './format.ts'
import { Alert, Clock, Cloud, Key, Pause } from './icons.tsx'
import type { Item } from './items.ts'
import { explain, explainFile, failureText, type ShownState, stateText } from './messages.ts'
import { When } from './when.tsx'

/** What the list says a file is doing. */
export function stateOf({ transfer, upload, sender }: Item): ShownState {
  if (transfer) return transfer.state
  if (upload!.state !== 'receiving') return upload!.state
  return sender === null ? 'incomplete' : 'elsewhere'
}

/** The line below the name of a file. */
export function ItemStatus({ item }: { item: Item }) {
  const { transfer, upload, size, confirmed } = item
  const state = stateOf(item)
  switch (state) {
    case 'queued':
      return (
        <Words icon={<Clock />} state={state}>
          <span>{formatBytes(size ?? 0)}</span>
        </Words>
      )
    case 'sending':
      return (
        <Words state={state}>
          <Amount item={item} />
          {transfer!.speed !== null && <span>{formatBytes(transfer!.speed)}/s</span>}
          {transfer!.timeLeftMs !== null && <span>{formatDuration(transfer!.timeLeftMs)} left</span>}
          <Resumed transfer={transfer!} />
        </Words>
      )
    case 'finishing':
      return (
        <Words state={state}>
          <span>The server is storing the file</span>
        </Words>
      )
    case 'waiting':
      return <Waiting item={item} transfer={transfer!} />
    case 'unauthorized':
      return (
        <Words icon={<Key />} state={state}>
          <span>Resumes at {formatBytes(confirmed)}</span>
        </Words>
      )
    case 'paused':
      return (
        <Words icon={<Pause />} state={state}>
          <Amount item={item} />
        </Words>
      )
    case 'elsewhere':
      return (
        <Words state={state} words={`Uploading ${item.sender === 'tab' ? 'in another tab' : 'on another device'}`}>
          <Amount item={{ ...item, confirmed: Math.max(confirmed, upload?.offset ?? 0) }} />
        </Words>
      )
    case 'incomplete':
      return (
        <Words state={state}>
          <Amount item={item} />
          <span>
            started <When at={upload!.createdAt} />
          </span>
        </Words>
      )
    case 'completed':
      return (
        <Words state={state}>
          <span>{formatBytes(size ?? confirmed)}</span>
          {upload ? (
            <When at={upload.completedAt ?? upload.createdAt} />
          ) : (
            transfer?.tookMs && <span>in {formatDuration(transfer.tookMs)}</span>
          )}
          {transfer && <Resumed transfer={transfer} />}
        </Words>
      )
    case 'failed':
      return (
        <Words icon={<Alert />} state={state}>
          <span>{transfer ? explainFile(transfer) : failureText(upload!.failure)}</span>
        </Words>
      )
    default:
      return <Words state={state}>{upload && <When at={upload.updatedAt} />}</Words>
  }
}

function Words(props: { icon?: ComponentChildren; state: ShownState; words?: string; children: ComponentChildren }) {
  return (
    <>
      <span class={`state is-${props.state}`}>
        {props.icon}
        {props.words ?? stateText[props.state]}
      </span>
      {props.children}
    </>
  )
}

/** What the server has confirmed, never what is on its way. */
function Amount({ item: { confirmed, size } }: { item: Item }) {
  if (size === null) return <span>{formatBytes(confirmed)} so far</span>
  return (
    <>
      <span>{percent(confirmed, size)} %</span>
      <span>
        {formatBytes(confirmed)} of {formatBytes(size)}
      </span>
    </>
  )
}

function Resumed({ transfer: { resumedAt, isAnew } }: { transfer: TransferView }) {
  if (resumedAt > 0) return <span class="note">resumed at {formatBytes(resumedAt)}</span>
  if (isAnew) return <span class="note">the earlier part had expired, so from the start</span>
  return null
}

function Waiting({ item, transfer: { retryAt, failure } }: { item: Item; transfer: TransferView }) {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const ticking = setInterval(() => setNow(Date.now()), 500)
    return () => clearInterval(ticking)
  }, [])
  const isNetwork = failure?.code === 'NO_ANSWER' || failure === null
  const left = retryAt === null ? null : Math.ceil((retryAt - now) / 1000)
  return (
    <Words
      icon={<Cloud />}
      state="waiting"
      words={isNetwork ? 'Waiting for the network, resumes by itself' : `${explain(failure)} Resumes by itself`}
    >
      {left !== null && left > 0 && <span class="note">next try in {left} s</span>}
      <Amount item={item} />
    </Words>
  )
}

/** Until when an incomplete upload is kept, in words. */
export function keptWords(expiresAt: string | null): string {
  return expiresAt === null ? '' : `, kept until ${formatDate(expiresAt)}`
}
