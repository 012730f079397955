import type { TimelineEntry } from '../../../contract/admin-uploads.ts'
import { visible } from '../../ui/visible.ts'
import { actionText } from '../messages.ts'
import { Timestamp } from '../moment.tsx'
import { hrefOf } from '../route.ts'

/** The history of an upload, oldest first: audit log entries and events. */
export function Timeline({ timeline }: { timeline: TimelineEntry[] }) {
  return (
    <section class="box" aria-labelledby="timeline-title">
      <h3 id="timeline-title">Timeline</h3>
      <ol class="timeline">
        {timeline.map((entry, index) => (
          <li
            key={index}
            class={`timeline-entry ${entry.allowed ? '' : 'is-refused'} ${entry.source === 'event' ? 'is-event' : ''}`}
          >
            <Timestamp at={entry.at} />
            {entry.source === 'event' ? <Event entry={entry} /> : <Action entry={entry} />}
          </li>
        ))}
      </ol>
    </section>
  )
}

function Action({ entry }: { entry: TimelineEntry }) {
  const { actor, role, key, what, allowed, code, rule, note, times, address, agent } = entry
  return (
    <div class="timeline-text any-text">
      <p>
        <strong>{visible(actor ?? 'the server')}</strong>
        {role && <span class="quiet"> ({role})</span>} {allowed ? actionText(what) : refusedText(what)}
        {times > 1 && <span class="quiet"> {times} times</span>}
      </p>
      {(code || rule) && (
        <p class="small">
          {code}
          {rule && ` by ${rule}`}
        </p>
      )}
      {note && <p class="small">{visible(note)}</p>}
      {(address || key) && (
        <p class="small quiet">
          {address && `from ${address}`}
          {agent && `, ${visible(agent)}`}
          {key && (
            <>
              {' '}
              with key <a href={hrefOf('audit', null, { key })}>{key.slice(0, 8)}</a>
            </>
          )}
        </p>
      )}
    </div>
  )
}

function Event({ entry }: { entry: TimelineEntry }) {
  const ms = entry.deliveredAt === null ? null : Date.parse(entry.deliveredAt) - Date.parse(entry.at)
  return (
    <p class="small quiet any-text">
      {entry.what} {ms === null ? 'not delivered yet' : `delivered after ${(ms / 1000).toFixed(1)} s`}
      {entry.note && `: ${entry.note}`}
    </p>
  )
}

function refusedText(what: string): string {
  return what === 'request.refuse' ? 'was refused' : `was refused: ${what}`
}
