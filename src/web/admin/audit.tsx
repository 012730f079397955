import type { AuditEntry } from '../../client/admin-types.ts'
import { Choice, Filter } from './field.tsx'
import { Clocked } from './moment.tsx'
import { usePages } from './pages.ts'
import { ask, hrefOf, place } from './place.ts'
import { Problem } from './problem.tsx'
import { admin } from './session.ts'
import { actionNames, actionWords, nameOf } from './words.ts'

const ends = [
  ['', 'any'],
  ['true', 'allowed'],
  ['false', 'refused'],
] as const
const actions: [string, string][] = [['', 'any'], ...actionNames.map((name): [string, string] => [name, name])]
const rarer = ['code', 'rule', 'address', 'key', 'upload', 'tenant', 'since', 'until']

/** The record: who did what, and who was refused. */
export function Audit() {
  const { query } = place.value
  const pages = usePages(
    async (before) => {
      const { entries, next } = await admin.audit({
        ...query,
        since: moment(query['since']),
        until: moment(query['until']),
        before,
      })
      return { items: entries, next }
    },
    { about: JSON.stringify(query), everyMs: 5000 },
  )
  const of = (name: string) => ({
    value: query[name] ?? '',
    set: (value: string) => ask({ ...place.peek().query, [name]: value.trim() }),
  })
  return (
    <section class="part" aria-label="The record">
      <search class="filters">
        <Filter label="Who" {...of('actor')} />
        <Choice label="What" choices={actions} {...of('action')} />
        <Choice label="How it ended" choices={ends} {...of('allowed')} />
        <details class="filters-more" open={rarer.some((name) => query[name])}>
          <summary>More</summary>
          <div class="filters">
            <Filter label="Code" hint="QUOTA_EXCEEDED" {...of('code')} />
            <Filter label="Rule" hint="maxSize" {...of('rule')} />
            <Filter label="From address" {...of('address')} />
            <Filter label="Key (id)" {...of('key')} />
            <Filter label="Upload (id)" {...of('upload')} />
            <Filter label="Tenant" {...of('tenant')} />
            <Filter label="After" type="datetime-local" {...of('since')} />
            <Filter label="Before" type="datetime-local" {...of('until')} />
          </div>
        </details>
        {Object.keys(query).length > 0 && (
          <button type="button" class="button is-quiet filters-clear" onClick={() => ask({})}>
            Clear
          </button>
        )}
      </search>
      <Problem words={pages.problem} again={pages.again} />
      {pages.items?.length === 0 && <p class="empty quiet">There is no such entry.</p>}
      {pages.items && pages.items.length > 0 && (
        <ol class="rows">
          {pages.items.map((entry) => (
            <EntryRow key={entry.id} entry={entry} />
          ))}
        </ol>
      )}
      {pages.hasMore && (
        <button type="button" class="button is-quiet more" onClick={pages.more}>
          Show older ones
        </button>
      )}
    </section>
  )
}

function EntryRow({ entry }: { entry: AuditEntry }) {
  const { at, actor, tenant, role, action, allowed, code, rule, times, upload, target, address, agent, key, note } =
    entry
  return (
    <li class={`row audit-row ${allowed ? '' : 'is-refused'}`} data-action={action}>
      <Clocked at={at} />
      <div class="row-words">
        <p class="any-text">
          <strong>{actor === null && !allowed ? 'somebody' : nameOf({ user: actor, tenant })}</strong>
          {role && <span class="quiet"> ({role})</span>} {actionWords(action)}
          {target && ` ${/^\d+$/.test(target) ? `to version ${target}` : target.slice(0, 8)}`}
          {times > 1 && <span class="quiet"> {times} times</span>}
          {note && <span class="quiet">: {note}</span>}
        </p>
        <p class="facts quiet">
          {code && (
            <span class="state is-failed">
              {code}
              {rule && ` by ${rule}`}
            </span>
          )}
          {upload && <a href={hrefOf('uploads', upload)}>upload {upload.slice(0, 8)}</a>}
          {key && <a href={hrefOf('audit', null, { key })}>key {key.slice(0, 8)}</a>}
          {address && <span>from {address}</span>}
          {agent && (
            <span class="agent" title={agent}>
              {agent}
            </span>
          )}
        </p>
      </div>
    </li>
  )
}

/** What the field says is the time of this place; the server wants one that is the same everywhere. */
function moment(local: string | undefined): string | undefined {
  const date = new Date(local ?? '')
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}
