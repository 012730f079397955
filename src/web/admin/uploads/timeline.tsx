import type { TimelineEntry } from '../../../client/admin-types.ts'
import { visible } from '../../upload/visible.ts'
import { actionText } from '../messages.ts'
import { Clocked } from '../moment.tsx'
import { hrefOf } from '../route.ts'

/** What happened to an upload, the oldest first: who did what, and what listeners are told of it. */
export function Timeline({ timeline }: { timeline: TimelineEntry[] }) {
  return (
    <section class="box" aria-labelledby="timeline-title">
      <h3 id="timeline-title">Timeline</h3>
      <ol class="timeline">
        {timeline.map((moment, index) => (
          <li
            key={index}
            class={`moment ${moment.allowed ? '' : 'is-refused'} ${moment.source === 'event' ? 'is-event' : ''}`}
          >
            <Clocked at={moment.at} />
            {moment.source === 'event' ? <Told moment={moment} /> : <Done moment={moment} />}
          </li>
        ))}
      </ol>
    </section>
  )
}

function Done({ moment }: { moment: TimelineEntry }) {
  const { actor, role, key, what, allowed, code, rule, note, times, address, agent } = moment
  return (
    <div class="moment-words any-text">
      <p>
        <strong>{visible(actor ?? 'the server')}</strong>
        {role && <span class="quiet"> ({role})</span>} {allowed ? actionText(what) : refusedWords(what)}
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

function Told({ moment }: { moment: TimelineEntry }) {
  const ms = moment.deliveredAt === null ? null : Date.parse(moment.deliveredAt) - Date.parse(moment.at)
  return (
    <p class="small quiet any-text">
      {moment.what} {ms === null ? 'is still to be told' : `was told to everybody after ${(ms / 1000).toFixed(1)} s`}
      {moment.note && `: ${moment.note}`}
    </p>
  )
}

function refusedWords(what: string): string {
  return what === 'request.refuse' ? 'was refused' : `was refused: ${what}`
}
