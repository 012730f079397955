import type { AuditEntry } from '../../client/admin-types.ts'
import { Choice, Filter } from './field.tsx'
import { asked, Filters, instantOf } from './filters.tsx'
import { Clocked } from './moment.tsx'
import { PagedList } from './paged-list.tsx'
import { usePages } from './pages.ts'
import { hrefOf, place } from './place.ts'
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
        since: instantOf(query['since']),
        until: instantOf(query['until']),
        before,
      })
      return { items: entries, next }
    },
    { about: JSON.stringify(query), everyMs: 5000 },
  )
  return (
    <section class="part" aria-label="The record">
      <Filters
        rarer={rarer}
        more={
          <>
            <Filter label="Code" hint="QUOTA_EXCEEDED" {...asked('code')} />
            <Filter label="Rule" hint="maxSize" {...asked('rule')} />
            <Filter label="From address" {...asked('address')} />
            <Filter label="Key (id)" {...asked('key')} />
            <Filter label="Upload (id)" {...asked('upload')} />
            <Filter label="Tenant" {...asked('tenant')} />
            <Filter label="After" type="datetime-local" {...asked('since')} />
            <Filter label="Before" type="datetime-local" {...asked('until')} />
          </>
        }
      >
        <Filter label="Who" {...asked('actor')} />
        <Choice label="What" choices={actions} {...asked('action')} />
        <Choice label="How it ended" choices={ends} {...asked('allowed')} />
      </Filters>
      <PagedList pages={pages} empty="There is no such entry.">
        {(entry) => <EntryRow key={entry.id} entry={entry} />}
      </PagedList>
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
