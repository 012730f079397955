import type { ComponentChildren } from 'preact'
import type { Summary } from '../../../contract/admin-uploads.ts'
import { formatBytes, formatDuration } from '../../ui/format.ts'
import { count } from '../messages.ts'
import { hrefOf } from '../route.ts'

// A longer wait is highlighted.
const maxWaitSeconds = 120

/**
 * Current figures of all servers.
 * @param speed bytes per second of all uploads together
 */
export function Figures({ summary, speed }: { summary: Summary; speed: number }) {
  const { open, finishingOldestSeconds, eventsToDeliver, eventsOldestSeconds } = summary
  const sum = (state: string, field: 'count' | 'live') =>
    open.filter((line) => line.state === state).reduce((total, line) => total + line[field], 0)
  const live = sum('receiving', 'live') + sum('finishing', 'live')
  const receiving = sum('receiving', 'count')
  const finishing = sum('finishing', 'count')
  const isFinishingLate = (finishingOldestSeconds ?? 0) > maxWaitSeconds
  const isDeliveryLate = (eventsOldestSeconds ?? 0) > maxWaitSeconds

  return (
    <dl class="figures-row">
      <Figure
        name="Live"
        value={live}
        note={live === 0 ? 'no upload is running' : `${formatBytes(speed)}/s in total`}
      />
      <Figure
        name="Open"
        value={receiving}
        note={rolesOf(summary, 'receiving') || 'none'}
        href={hrefOf('uploads', null, { state: 'receiving' })}
      />
      <Figure
        name="Finishing"
        value={finishing}
        note={
          finishingOldestSeconds === null ? 'none' : `the oldest for ${formatDuration(finishingOldestSeconds * 1000)}`
        }
        isLate={isFinishingLate}
        href={hrefOf('uploads', null, { state: 'finishing' })}
      />
      <Figure
        name="Stored"
        value={formatBytes(summary.storedBytes)}
        note={`${count(summary.storedFiles, 'file')}, ${formatBytes(summary.reservedBytes)} more reserved`}
        href={hrefOf('quota')}
      />
      {eventsToDeliver > 0 && (
        <Figure
          name="Undelivered events"
          value={eventsToDeliver}
          note={`the oldest for ${formatDuration((eventsOldestSeconds ?? 0) * 1000)}`}
          isLate={isDeliveryLate}
        />
      )}
    </dl>
  )
}

function rolesOf({ open }: Summary, state: string): string {
  return open
    .filter((line) => line.state === state && line.count > 0)
    .map(({ role, count }) => `${count.toLocaleString('en')} ${role}`)
    .join(', ')
}

function Figure(props: { name: string; value: ComponentChildren; note: string; isLate?: boolean; href?: string }) {
  const { name, value, note, isLate = false, href } = props
  return (
    <div class={`figure ${isLate ? 'is-late' : ''}`}>
      <dt>{href ? <a href={href}>{name}</a> : name}</dt>
      <dd class="figure-value">{value}</dd>
      <dd class="figure-note any-text">{note}</dd>
    </div>
  )
}
