import type { AuditEntry } from '../../client/admin-types.ts'
import { visible } from '../upload/visible.ts'
import type { Column } from './data-table.tsx'
import { Choice, Filter } from './field.tsx'
import { asked, Filters, instantOf } from './filters.tsx'
import { Clocked } from './moment.tsx'
import { PagedTable } from './paged-table.tsx'
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

/** The audit log: who did what, and who was refused. */
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
    <div class="part">
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
        <Filter label="User" {...asked('actor')} />
        <Choice label="Action" choices={actions} {...asked('action')} />
        <Choice label="Result" choices={ends} {...asked('allowed')} />
      </Filters>
      <PagedTable
        pages={pages}
        label="Audit log"
        empty="No entry matches."
        columns={columns}
        keyOf={({ id }) => id}
        rowClass={({ allowed }) => `audit-row ${allowed ? '' : 'is-refused'}`}
      />
    </div>
  )
}

const columns: Column<AuditEntry>[] = [
  { name: 'Time', value: ({ at }) => at, cell: ({ at }) => <Clocked at={at} /> },
  {
    name: 'User',
    value: ({ actor, tenant, allowed }) =>
      actor === null && !allowed ? 'an unknown user' : nameOf({ user: actor, tenant }),
    cell: ({ actor, tenant, role, allowed }) => (
      <>
        <bdi>{actor === null && !allowed ? 'an unknown user' : nameOf({ user: actor, tenant })}</bdi>
        {role && <span class="quiet"> ({visible(role)})</span>}
      </>
    ),
  },
  {
    name: 'Action',
    value: ({ action }) => action,
    cell: ({ action, target, times, note }) => (
      <span class="any-text">
        {actionWords(action)}
        {target && ` ${/^\d+$/.test(target) ? `to version ${target}` : visible(target).slice(0, 8)}`}
        {times > 1 && <span class="quiet"> {times} times</span>}
        {note && <span class="quiet">: {visible(note)}</span>}
      </span>
    ),
  },
  {
    name: 'Result',
    value: ({ allowed, code, rule }) => (allowed ? 'allowed' : [code, rule].filter(Boolean).join(' by ') || 'refused'),
    cell: ({ allowed, code, rule }) =>
      allowed ? (
        'allowed'
      ) : (
        <span class="state is-failed">
          {code ?? 'refused'}
          {rule && ` by ${rule}`}
        </span>
      ),
  },
  {
    name: 'Upload',
    value: ({ upload }) => upload,
    cell: ({ upload }) => upload && <a href={hrefOf('uploads', upload)}>{upload.slice(0, 8)}</a>,
  },
  {
    name: 'Key',
    value: ({ key }) => key,
    cell: ({ key }) => key && <a href={hrefOf('audit', null, { key })}>{key.slice(0, 8)}</a>,
  },
  { name: 'Address', value: ({ address }) => address },
  {
    name: 'Client',
    value: ({ agent }) => agent,
    cell: ({ agent }) =>
      agent && (
        <span class="agent" title={visible(agent)}>
          {visible(agent)}
        </span>
      ),
  },
]
