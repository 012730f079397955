import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { TransferView } from '../../client/transfer-view.ts'
import { formatBytes, formatDate, formatDuration, percent } from '../ui/format.ts'
import { Alert, Clock, Cloud, Key, Pause } from '../ui/icons.tsx'
import { explain, explainFile, failureText, type ShownState, stateText } from '../ui/messages.ts'
import { When } from '../ui/when.tsx'
import type { Item } from './items.ts'

/** The state of a file as the list shows it. */
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
        <StatusText icon={<Clock />} state={state}>
          <span>{formatBytes(size ?? 0)}</span>
        </StatusText>
      )
    case 'sending':
      return (
        <StatusText state={state}>
          <Amount item={item} />
          {transfer!.speed !== null && <span>{formatBytes(transfer!.speed)}/s</span>}
          {transfer!.timeLeftMs !== null && <span>{formatDuration(transfer!.timeLeftMs)} left</span>}
          <Resumed transfer={transfer!} />
        </StatusText>
      )
    case 'finishing':
      return (
        <StatusText state={state}>
          <span>The server is storing the file</span>
        </StatusText>
      )
    case 'waiting':
      return <Waiting item={item} transfer={transfer!} />
    case 'unauthorized':
      return (
        <StatusText icon={<Key />} state={state}>
          <span>Resumes at {formatBytes(confirmed)}</span>
        </StatusText>
      )
    case 'paused':
      return (
        <StatusText icon={<Pause />} state={state}>
          <Amount item={item} />
        </StatusText>
      )
    case 'elsewhere':
      return (
        <StatusText state={state} text={`Uploading ${item.sender === 'tab' ? 'in another tab' : 'on another device'}`}>
          <Amount item={{ ...item, confirmed: Math.max(confirmed, upload?.offset ?? 0) }} />
        </StatusText>
      )
    case 'incomplete':
      return (
        <StatusText state={state}>
          <Amount item={item} />
          <span>
            started <When at={upload!.createdAt} />
          </span>
        </StatusText>
      )
    case 'completed':
      return (
        <StatusText state={state}>
          <span>{formatBytes(size ?? confirmed)}</span>
          {upload ? (
            <When at={upload.completedAt ?? upload.createdAt} />
          ) : (
            transfer?.durationMs && <span>in {formatDuration(transfer.durationMs)}</span>
          )}
          {transfer && <Resumed transfer={transfer} />}
        </StatusText>
      )
    case 'failed':
      return (
        <StatusText icon={<Alert />} state={state}>
          <span>{transfer ? explainFile(transfer) : failureText(upload!.failure)}</span>
        </StatusText>
      )
    default:
      return <StatusText state={state}>{upload && <When at={upload.updatedAt} />}</StatusText>
  }
}

function StatusText(props: {
  icon?: ComponentChildren
  state: ShownState
  text?: string
  children: ComponentChildren
}) {
  return (
    <>
      <span class={`state is-${props.state}`}>
        {props.icon}
        {props.text ?? stateText[props.state]}
      </span>
      {props.children}
    </>
  )
}

/** The bytes that the server has confirmed, without those in flight. */
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

function Resumed({ transfer: { resumedAt, isRestarted } }: { transfer: TransferView }) {
  if (resumedAt > 0) return <span class="note">resumed at {formatBytes(resumedAt)}</span>
  if (isRestarted) return <span class="note">the earlier upload had expired; started from the beginning</span>
  return null
}

function Waiting({ item, transfer: { retryAt, failure } }: { item: Item; transfer: TransferView }) {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500)
    return () => clearInterval(timer)
  }, [])
  const isNetwork = failure?.code === 'NO_ANSWER' || failure === null
  const left = retryAt === null ? null : Math.ceil((retryAt - now) / 1000)
  return (
    <StatusText
      icon={<Cloud />}
      state="waiting"
      text={isNetwork ? 'Waiting for the network, resumes automatically' : `${explain(failure)} Resumes automatically.`}
    >
      {left !== null && left > 0 && <span class="note">next attempt in {left} s</span>}
      <Amount item={item} />
    </StatusText>
  )
}

/** Until when the server keeps an incomplete upload. */
export function expiryText(expiresAt: string | null): string {
  return expiresAt === null ? '' : `, kept until ${formatDate(expiresAt)}`
}
