import type { ComponentChildren } from 'preact'
import type { Summary } from '../../../client/admin-types.ts'
import { formatBytes, formatDuration } from '../../upload/format.ts'
import { count } from '../messages.ts'
import { hrefOf } from '../route.ts'

// Something that waits for longer is worth a look.
const longSeconds = 120

/**
 * How much is under way, over all servers.
 * @param speed bytes a second of all that is being sent
 */
export function Figures({ summary, speed }: { summary: Summary; speed: number }) {
  const { open, finishingOldestSeconds, eventsToDeliver, eventsOldestSeconds } = summary
  const sum = (state: string, field: 'count' | 'live') =>
    open.filter((line) => line.state === state).reduce((total, line) => total + line[field], 0)
  const live = sum('receiving', 'live') + sum('finishing', 'live')
  const receiving = sum('receiving', 'count')
  const finishing = sum('finishing', 'count')
  const isLateToFinish = (finishingOldestSeconds ?? 0) > longSeconds
  const isLateToTell = (eventsOldestSeconds ?? 0) > longSeconds

  return (
    <dl class="figures-row">
      <Figure name="Live" value={live} note={live === 0 ? 'nobody sends' : `${formatBytes(speed)}/s together`} />
      <Figure
        name="Unfinished"
        value={receiving}
        note={rolesOf(summary, 'receiving') || 'nobody waits'}
        href={hrefOf('uploads', null, { state: 'receiving' })}
      />
      <Figure
        name="Finishing"
        value={finishing}
        note={
          finishingOldestSeconds === null
            ? 'nothing waits'
            : `the oldest for ${formatDuration(finishingOldestSeconds * 1000)}`
        }
        isLate={isLateToFinish}
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
          name="To tell"
          value={eventsToDeliver}
          note={`events, the oldest for ${formatDuration((eventsOldestSeconds ?? 0) * 1000)}`}
          isLate={isLateToTell}
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
